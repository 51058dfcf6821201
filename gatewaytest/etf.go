// Erlang's External Term Format as Discord uses it (encoding=etf).

package gatewaytest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/gatewayqueue/gatewayqueue/internal/etf"
)

// termOf writes a payload. The keys op, d, s and t and the event's name are
// atoms, as libraries in Elixir rely on; all other keys are binaries; snowflakes
// are integers.
func termOf(payload sent) ([]byte, error) {
	data, err := json.Marshal(payload.D)
	if err != nil {
		return nil, err
	}
	var d, seq, name any
	reader := json.NewDecoder(bytes.NewReader(data))
	reader.UseNumber()
	if err := reader.Decode(&d); err != nil {
		return nil, err
	}
	if payload.S != nil {
		seq = *payload.S
	}
	if payload.T != nil {
		name = etf.Atom(*payload.T)
	}
	return etf.Encode(etf.Map{
		{Key: etf.Atom("op"), Value: payload.Op},
		{Key: etf.Atom("d"), Value: convertIDs(d, false, integerID)},
		{Key: etf.Atom("s"), Value: seq},
		{Key: etf.Atom("t"), Value: name},
	})
}

// convertIDs replaces the IDs in value by what convert makes of them. isID says
// that value is the value of a key that names an ID, or a list of them.
func convertIDs(value any, isID bool, convert func(any) any) any {
	switch v := value.(type) {
	case map[string]any:
		for key, inner := range v {
			v[key] = convertIDs(inner, namesID(key), convert)
		}
	case []any:
		for i, inner := range v {
			v[i] = convertIDs(inner, isID, convert)
		}
	default:
		if isID {
			return convert(value)
		}
	}
	return value
}

// namesID reports whether the value of key is a snowflake, or a list of them. A
// custom_id is the bot's own text.
func namesID(key string) bool {
	return key == "id" || key == "roles" || key == "mention_roles" ||
		strings.HasSuffix(key, "_ids") || strings.HasSuffix(key, "_id") && key != "custom_id"
}

// integerID is an ID as terms have it: an integer.
func integerID(id any) any {
	text, _ := id.(string)
	if n, err := strconv.ParseUint(text, 10, 64); err == nil && text == strconv.FormatUint(n, 10) {
		return n
	}
	return id // a session's, for one
}

// textID is an ID as JSON has it: digits.
func textID(id any) any {
	switch id.(type) {
	case int64, uint64:
		return fmt.Sprint(id)
	}
	return id
}

// jsonOf reads a term and writes it as JSON. A client may send IDs as integers.
func jsonOf(term []byte) ([]byte, error) {
	value, err := etf.Decode(term)
	if err != nil {
		return nil, err
	}
	return json.Marshal(convertIDs(value, false, textID))
}
