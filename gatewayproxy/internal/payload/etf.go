// Payloads as terms of Erlang (encoding=etf).

package payload

import (
	"strings"

	"github.com/gatewayqueue/gatewayqueue/internal/etf"
)

// version is the first byte of a term.
const version = 131

// readETF reads the whole term. Package etf refuses what Discord refuses (atoms for
// names, 4002), and more of what could be read in two ways: names that come twice,
// compressed terms, tuples, and bytes behind the term.
func readETF(message []byte) (fields, *Refusal) {
	f := noFields()
	term, err := etf.Decode(message)
	if err != nil {
		// What stands in quotes is the client's.
		reason, _, quoted := strings.Cut(err.Error(), `"`)
		if quoted {
			reason += "..."
		}
		return f, refuse(decodeError, "%s", reason)
	}
	dict, ok := term.(map[string]any)
	if !ok {
		return f, refuse(decodeError, "etf: %s: want a map", show(term))
	}
	if refusal := readMap(dict, "op", "d", &f.op, &f.d); refusal != nil {
		return f, refusal
	}
	data, ok := f.d.(map[string]any)
	if !ok {
		return f, nil
	}
	f.d = object{}
	op, refusal := opOf(f.op)
	if refusal != nil || op != OpIdentify && op != OpResume {
		return f, refusal
	}
	to := &f.shard
	if op == OpResume {
		to = &f.session
	}
	return f, readMap(data, "token", second(op), &f.token, to)
}

// readMap reads the values of two names. A map has no order, so the refusal of a
// map with several faults is any of theirs.
func readMap(dict map[string]any, first, second string, one, two *any) *Refusal {
	var seen names
	for name, value := range dict {
		wanted, refusal := seen.look(name, first, second)
		if refusal != nil {
			return refusal
		}
		switch {
		case wanted && name == first:
			*one = value
		case wanted:
			*two = value
		}
	}
	return nil
}
