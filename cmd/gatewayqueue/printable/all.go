package printable

import (
	"reflect"
	"time"
)

// All is a copy of v in which each string is as [Text] has it, however deep it stands: in
// exported fields, slices, maps and behind pointers. What will be part of a styled text
// goes through it where it comes from, since [Styled] takes the styles in a value for ours.
func All[T any](v T) T {
	to := reflect.New(reflect.TypeFor[T]()).Elem()
	copyTo(to, reflect.ValueOf(&v).Elem())
	return to.Interface().(T)
}

func copyTo(to, from reflect.Value) {
	to.Set(from)
	switch {
	case from.Type() == reflect.TypeFor[time.Time]():
	case from.Kind() == reflect.String:
		to.SetString(Text(from.String()))
	case from.Kind() == reflect.Struct:
		for i := range from.NumField() {
			if from.Type().Field(i).IsExported() {
				copyTo(to.Field(i), from.Field(i))
			}
		}
	case from.Kind() == reflect.Pointer && !from.IsNil():
		to.Set(reflect.New(from.Type().Elem()))
		copyTo(to.Elem(), from.Elem())
	case from.Kind() == reflect.Slice && !from.IsNil():
		to.Set(reflect.MakeSlice(from.Type(), from.Len(), from.Len()))
		for i := range from.Len() {
			copyTo(to.Index(i), from.Index(i))
		}
	case from.Kind() == reflect.Map && !from.IsNil():
		to.Set(reflect.MakeMapWithSize(from.Type(), from.Len()))
		for pairs := from.MapRange(); pairs.Next(); {
			key, value := reflect.New(from.Type().Key()).Elem(), reflect.New(from.Type().Elem()).Elem()
			copyTo(key, pairs.Key())
			copyTo(value, pairs.Value())
			to.SetMapIndex(key, value)
		}
	}
}
