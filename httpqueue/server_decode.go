// JSON bodies of requests: the one decoder of all of them.

package httpqueue

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// decode reads one JSON object into the struct that v points to, and is stricter
// than encoding/json, which takes a name in any case, the last of two, and null
// and "" for nothing: a client that sends those has meant something else. strict says
// that a name which v does not know is refused, too. A field may have a tag want,
// which says what it takes.
func decode(body []byte, v any, strict bool) *problem {
	d := json.NewDecoder(bytes.NewReader(body))
	if start, err := d.Token(); err != nil || start != json.Delim('{') {
		return badBody("it is no JSON object")
	}
	known := fieldsOf(v)
	seen := make(map[string]bool)
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return badBody(err.Error())
		}
		name, _ := token.(string) // in an object, there is no other
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return badBody(err.Error())
		}
		f, ok := known[name]
		switch {
		case !ok && strict:
			return badBody("there is no field " + strconv.Quote(name))
		case !ok:
			continue
		case seen[name]:
			return invalid(name, "given twice", "one "+name)
		}
		seen[name] = true
		if bad := f.read(name, value); bad != nil {
			return bad
		}
	}
	if _, err := d.Token(); err != nil { // the closing brace
		return badBody(err.Error())
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badBody("there is more than one value")
	}
	return nil
}

// bodyField is where the value of a name goes.
type bodyField struct {
	to   any // a pointer
	want string
}

func fieldsOf(v any) map[string]bodyField {
	all := make(map[string]bodyField)
	to := reflect.ValueOf(v).Elem()
	for i := range to.NumField() {
		f := to.Type().Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		want := f.Tag.Get("want")
		if want == "" {
			want = wantOf(f.Type)
		}
		all[name] = bodyField{to.Field(i).Addr().Interface(), want}
	}
	return all
}

func (f bodyField) read(name string, value json.RawMessage) *problem {
	if text := string(value); text == "null" || text == `""` {
		return invalid(name, text, f.want)
	}
	err := json.Unmarshal(value, f.to)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong):
		return invalid(name, "a JSON "+wrong.Value, f.want)
	case err != nil:
		return badBody(err.Error())
	}
	return nil
}

// wantOf says what a type takes.
func wantOf(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Bool:
		return "true or false"
	}
	return "a string that is not empty"
}

func badBody(why string) *problem {
	p := newProblem(http.StatusBadRequest, "invalid", "the body is not what it should be: "+why)
	p.Field, p.Want = "body", "a JSON object as /v1/openapi.json describes it"
	return p
}
