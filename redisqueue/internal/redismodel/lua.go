package redismodel

import (
	"crypto/sha1" //nolint:gosec // Redis names scripts by it.
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"
)

// interpreter runs scripts, one at a time.
type interpreter struct {
	state  *lua.LState
	server *Server // whose script runs
	args   []string
}

var (
	interpreters = sync.Pool{New: func() any { return newInterpreter() }}
	compiled     sync.Map // scripts by their text
)

// compile compiles a script, once for all servers.
func compile(source string) (*lua.FunctionProto, error) {
	if proto, is := compiled.Load(source); is {
		return proto.(*lua.FunctionProto), nil
	}
	chunk, err := parse.Parse(strings.NewReader(source), "script")
	if err != nil {
		return nil, Error("ERR Error compiling script: " + err.Error())
	}
	proto, err := lua.Compile(chunk, "script")
	if err != nil {
		return nil, Error("ERR Error compiling script: " + err.Error())
	}
	compiled.Store(source, proto)
	return proto, nil
}

func newInterpreter() *interpreter {
	in := &interpreter{}
	in.state = lua.NewState(lua.Options{SkipOpenLibs: true})
	for name, open := range map[string]lua.LGFunction{
		lua.BaseLibName: lua.OpenBase, lua.TabLibName: lua.OpenTable, lua.StringLibName: lua.OpenString, lua.MathLibName: lua.OpenMath,
	} {
		in.state.Push(in.state.NewFunction(open))
		in.state.Push(lua.LString(name))
		in.state.Call(1, 0)
	}
	text := in.state.GetGlobal("string").(*lua.LTable)
	for _, name := range []string{"find", "match"} {
		text.RawSetString(name, remembered(in.state, text.RawGetString(name).(*lua.LFunction)))
	}
	module := in.state.NewTable()
	module.RawSetString("call", in.state.NewFunction(func(l *lua.LState) int { return in.call(l, true) }))
	module.RawSetString("pcall", in.state.NewFunction(func(l *lua.LState) int { return in.call(l, false) }))
	module.RawSetString("error_reply", in.state.NewFunction(func(l *lua.LState) int {
		l.Push(in.failure(l.CheckString(1)))
		return 1
	}))
	in.state.SetGlobal("redis", module)
	return in
}

func (in *interpreter) failure(text string) lua.LValue {
	t := in.state.NewTable()
	t.RawSetString("err", lua.LString(text))
	return t
}

// call is redis.call, and redis.pcall.
func (in *interpreter) call(l *lua.LState, raises bool) int {
	in.args = in.args[:0]
	for i := 1; i <= l.GetTop(); i++ {
		switch a := l.Get(i).(type) {
		case lua.LString:
			in.args = append(in.args, string(a))
		case lua.LNumber:
			in.args = append(in.args, number(float64(a)))
		default:
			l.RaiseError("ERR Lua redis lib command arguments must be strings or integers")
		}
	}
	r, err := in.server.command(in.args)
	switch {
	case err == nil:
		l.Push(in.value(r))
	case raises:
		l.Error(lua.LString(err.Error()), 0)
	default:
		l.Push(in.failure(err.Error()))
	}
	return 1
}

// value is a command's reply in Lua.
func (in *interpreter) value(r reply) lua.LValue {
	switch r := r.(type) {
	case string:
		return lua.LString(r)
	case int64:
		return lua.LNumber(r)
	case []reply:
		t := in.state.CreateTable(len(r), 0)
		for _, one := range r {
			t.Append(in.value(one))
		}
		return t
	case status:
		t := in.state.NewTable()
		t.RawSetString("ok", lua.LString(r))
		return t
	}
	return lua.LFalse
}

// EvalSha runs a script by its hash; source is its text, in case it is known.
func (s *Server) EvalSha(hash, source string, keys []string, args []any) (any, error) {
	if !s.known[hash] {
		return nil, errNoScript
	}
	return s.run(source, keys, args)
}

// Eval runs a script, which is known from then on.
func (s *Server) Eval(source string, keys []string, args []any) (any, error) {
	sum := sha1.Sum([]byte(source)) //nolint:gosec // see above
	s.known[hex.EncodeToString(sum[:])] = true
	return s.run(source, keys, args)
}

func (s *Server) run(source string, keys []string, args []any) (any, error) {
	proto, err := compile(source)
	if err != nil {
		return nil, err
	}
	in := interpreters.Get().(*interpreter)
	defer interpreters.Put(in)
	in.server, s.ms = s, s.Now.UnixMilli()
	keysTable, argsTable := in.state.CreateTable(len(keys), 0), in.state.CreateTable(len(args), 0)
	for _, key := range keys {
		keysTable.Append(lua.LString(key))
	}
	for _, arg := range args {
		argsTable.Append(lua.LString(textOf(arg)))
	}
	in.state.SetGlobal("KEYS", keysTable)
	in.state.SetGlobal("ARGV", argsTable)
	in.state.Push(in.state.NewFunctionFromProto(proto))
	if err := in.state.PCall(0, 1, nil); err != nil {
		in.state.SetTop(0)
		text := err.Error()
		if e, is := err.(*lua.ApiError); is { //nolint:errorlint // as PCall returns it
			text = e.Object.String()
		}
		return nil, Error(text)
	}
	result := in.state.Get(-1)
	in.state.Pop(1)
	return fromLua(result)
}

// textOf is an argument as go-redis sends it.
func textOf(arg any) string {
	switch a := arg.(type) {
	case string:
		return a
	case int:
		return strconv.Itoa(a)
	case int64:
		return strconv.FormatInt(a, 10)
	}
	panic(fmt.Sprintf("redismodel: an argument is a %T", arg))
}

// fromLua is a script's result as go-redis returns it.
func fromLua(v lua.LValue) (any, error) {
	switch v := v.(type) {
	case lua.LString:
		return string(v), nil
	case lua.LNumber:
		return int64(math.Trunc(float64(v))), nil
	case lua.LBool:
		if v {
			return int64(1), nil
		}
	case *lua.LTable:
		if text := v.RawGetString("err"); text != lua.LNil {
			return nil, Error(text.String())
		}
		if text := v.RawGetString("ok"); text != lua.LNil {
			return text.String(), nil
		}
		list := []any{}
		for i := 1; ; i++ {
			one := v.RawGetInt(i)
			if one == lua.LNil {
				return list, nil
			}
			each, err := fromLua(one)
			if err != nil {
				return nil, err
			}
			list = append(list, each)
		}
	}
	return nil, nil
}
