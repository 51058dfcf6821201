package wire

import (
	"fmt"
	"strings"

	"github.com/gatewayqueue/gatewayqueue"
)

// rule is what a value in Redis may be, and what cures one that is something else.
type rule struct {
	want string
	cure string // for redis-cli, of the key and the field
}

const (
	reseeds = "DEL KEY: the next pod that waits writes it again, and every bucket is closed for 10 s, once"
	moment  = "a whole number of at most 15 digits, ms since 1970; 0 for none"
)

// rules are by key and field, as lua/lib/limits.lua and lua/claim.lua read them.
var rules = map[string]rule{
	"limits seq":             {"a whole number of at most 15 digits", reseeds},
	"limits total":           {"a whole number from 0, of at most 15 digits", reseeds},
	"limits max_concurrency": {fmt.Sprintf("a whole number from 1 to %d", MaxConcurrency), reseeds},
	"limits reset_at":        {moment, reseeds},
	"limits closed_until":    {moment, "HDEL KEY FIELD: then every bucket is closed for 10 s, once"},
	"limits period":          {"a whole number of at most 15 digits", "HDEL KEY FIELD"},
	"remaining":              {"a whole number of at most 15 digits", "SET KEY N KEEPTTL, with N as Discord has it (session_start_limit.remaining)"},
	"spent":                  {"a whole number of at most 15 digits", "HDEL KEY FIELD"},
	"opens":                  {"ms since 1970, of at most 15 digits before the point", "HDEL KEY FIELD: then the bucket is open once its slot is"},
}

// ruleOf is the rule of a key and its field.
func ruleOf(key, field string) rule {
	_, name, _ := strings.Cut(key, "}:")
	if name == "limits" {
		name += " " + field
	}
	return rules[name]
}

// named is a key with its field, as redis-cli takes them.
func named(key, field string) string { return strings.TrimSpace(key + " " + field) }

// badValue is the text of BADVALUE, of which key and field follow: for those whose
// claim was refused.
func badValue(rest string) string {
	key, field, _ := strings.Cut(strings.TrimSpace(rest), " ")
	field, _, _ = strings.Cut(field, " ") // Redis 7 tells the script behind it
	text := named(key, field)
	if want := ruleOf(key, field).want; want != "" {
		text += ": want " + want
	}
	return text
}

// store says what Redis holds that claims are refused for, or that it takes no writes;
// the zero value if they are not. The reply has both by lua/lib/refused.lua.
func (k Keys) store(refused *reply, writes string) (s gatewayqueue.StoreStatus, err error) {
	key, field, value, failed := refused.text(), refused.text(), refused.text(), refused.text()
	switch {
	case refused.err != nil || key == "" && writes == "":
		return s, refused.err
	case failed != "" && TroubleOf(fmt.Errorf("%s", failed)).About == AboutType:
		return gatewayqueue.StoreStatus{
			Error: fmt.Sprintf("%s holds another type than the queue's: is the application ID used by something else? (%s)", key, failed),
			Cure:  "redis-cli DEL '" + key + "'",
		}, nil
	case failed != "":
		return s, fmt.Errorf("%s", failed)
	case key != "":
		rule := ruleOf(key, field)
		return gatewayqueue.StoreStatus{
			Error: fmt.Sprintf("%s is %.40q, which cannot be used: want %s", named(key, field), value, rule.want),
			Cure:  "redis-cli " + strings.NewReplacer("KEY", "'"+key+"'", "FIELD", field).Replace(rule.cure),
		}, nil
	case Denied(writes): // of the user who looks; pods may have another
		return s, nil
	}
	t := TroubleOf(fmt.Errorf("%s", writes))
	return gatewayqueue.StoreStatus{Error: "Redis takes no writes: " + writes, Cure: t.Cure}, nil
}
