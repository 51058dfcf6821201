// Payloads in JSON.

package payload

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"

	"github.com/gatewayqueue/gatewayqueue/gatewayproxy/internal/jsonwalk"
)

// maxShard is how many bytes of a shard are read; two integers take fewer.
const maxShard = 256

// readJSON validates the whole message, and builds nothing but the fields.
func readJSON(message []byte) (fields, *Refusal) {
	f := noFields()
	if !utf8.Valid(message) {
		return f, refuse(decodeError, "JSON: not UTF-8")
	}
	var data []byte
	if refusal := readObject(message, "op", "d", func(name string, raw []byte) {
		if name == "op" {
			f.op = valueOf(raw)
			return
		}
		f.d, data = valueOf(raw), raw
	}); refusal != nil {
		return f, refusal
	}
	op, refusal := opOf(f.op)
	if _, isObject := f.d.(object); refusal != nil || !isObject || op != OpIdentify && op != OpResume {
		return f, refusal
	}
	return f, readObject(data, "token", second(op), func(name string, raw []byte) {
		switch {
		case name == "token":
			f.token = valueOf(raw)
		case op == OpResume:
			f.session = valueOf(raw)
		case raw[0] == '[' && len(raw) <= maxShard:
			f.shard = listOf(raw)
		default:
			f.shard = valueOf(raw)
		}
	})
}

// readObject reads a whole text, which must be an object, and gives the members of
// two names to member.
func readObject(text []byte, first, second string, member func(name string, raw []byte)) *Refusal {
	var refusal *Refusal
	var seen names
	w := jsonwalk.New(text)
	err := w.Object(func(name []byte) error {
		wanted, ambiguous := seen.look(string(name), first, second)
		if refusal == nil {
			refusal = ambiguous
		}
		raw, err := w.Skip()
		if err == nil && wanted {
			member(string(name), raw)
		}
		return err
	})
	if err == nil {
		err = w.End()
	}
	if err != nil {
		return refuse(decodeError, "%s", err)
	}
	return refusal
}

// valueOf is the value of a text, but for what an array holds.
func valueOf(raw []byte) any {
	switch raw[0] {
	case '"':
		text, err := jsonwalk.Unquote(raw)
		if err != nil {
			return []any(nil) // The text is valid, so this does not happen, and nothing takes a list.
		}
		return string(text)
	case '{':
		return object{}
	case '[':
		return []any(nil)
	case 't', 'f':
		return raw[0] == 't'
	case 'n':
		return nil
	default:
		return json.Number(raw)
	}
}

// listOf is the value of the text of an array.
func listOf(raw []byte) any {
	var list []any
	reader := json.NewDecoder(bytes.NewReader(raw))
	reader.UseNumber()
	_ = reader.Decode(&list) // The text is valid.
	return list
}
