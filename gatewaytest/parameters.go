// Parameters of the control over HTTP: read once, each with its range.

package gatewaytest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gatewayqueue/gatewayqueue"
)

// required is the default of a parameter that has to be given. No other default is
// negative.
const required = -1

// parameters are those of one request: of its URL, or of a form in its body.
type parameters struct {
	r      *http.Request
	values url.Values
	errs   []error
}

// readParameters refuses those that are not known, those that come twice, and a
// body that is no form: what it says would be passed over.
func readParameters(r *http.Request, known []string) (*parameters, error) {
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, 1<<16))
	if err != nil {
		return nil, fmt.Errorf("the body cannot be read: %w", err)
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // what cannot be read is no form
	if len(body) > 0 && kind != "application/x-www-form-urlencoded" {
		return nil, errors.New("the body is no form: want parameters in the URL, or Content-Type: application/x-www-form-urlencoded")
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err := r.ParseForm(); err != nil {
		return nil, fmt.Errorf("the parameters cannot be read: %w", err)
	}
	for name, values := range r.Form {
		if !slices.ContainsFunc(known, func(k string) bool { return strings.Trim(k, "[]") == name }) {
			return nil, fmt.Errorf("there is no parameter %q: want %s", name, parameterList(known))
		}
		if len(values) > 1 {
			return nil, fmt.Errorf("%s is given %d times: want it once", name, len(values))
		}
	}
	return &parameters{r: r, values: r.Form}, nil
}

func parameterList(known []string) string {
	if len(known) == 0 {
		return "none"
	}
	return strings.Join(known, ", ")
}

func (p *parameters) given(name string) bool { return p.values.Has(name) }

func (p *parameters) refuse(name, want string) {
	var value any = "missing"
	if p.given(name) {
		value = strconv.Quote(p.values.Get(name))
	}
	p.errs = append(p.errs, &gatewayqueue.InvalidError{Field: name, Value: value, Want: want})
}

// err is what was wrong with those that were read so far.
func (p *parameters) err() error {
	if len(p.errs) == 0 {
		return nil
	}
	return p.errs[0]
}

// done does it unless a parameter was refused.
func (p *parameters) done(do func()) (any, error) {
	if err := p.err(); err != nil {
		return nil, err
	}
	do()
	return done{}, nil
}

// tell says something to the shards that are given, or to all.
func (p *parameters) tell(say func(shards []int) int) (any, error) {
	shards := p.shards()
	if err := p.err(); err != nil {
		return nil, err
	}
	return told{say(shards)}, nil
}

func (p *parameters) number(name string, least, most, otherwise int) int {
	if !p.given(name) && otherwise != required {
		return otherwise
	}
	n, err := strconv.Atoi(p.values.Get(name))
	if err != nil || n < least || n > most {
		p.refuse(name, fmt.Sprintf("a whole number from %d to %d", least, most))
	}
	return n
}

func (p *parameters) duration(name string, least, most, otherwise time.Duration) time.Duration {
	if !p.given(name) && otherwise != required {
		return otherwise
	}
	d, err := time.ParseDuration(p.values.Get(name))
	if err != nil || d < least || d > most {
		p.refuse(name, fmt.Sprintf("a time with its unit from %v to %v, such as 30s", least, most))
	}
	return d
}

func (p *parameters) yes(name string, otherwise bool) bool {
	if !p.given(name) {
		return otherwise
	}
	return p.choice(name, []string{"true", "false"}) == "true"
}

func (p *parameters) choice(name string, words []string) string {
	word := p.values.Get(name)
	if !slices.Contains(words, word) {
		p.refuse(name, "one of "+strings.Join(words, ", "))
	}
	return word
}

func (p *parameters) fraction(name string) float64 {
	if !p.given(name) {
		return 0
	}
	f, err := strconv.ParseFloat(p.values.Get(name), 64)
	if err != nil || !(f >= 0 && f <= 1) {
		p.refuse(name, "a number from 0 to 1")
	}
	return f
}

// shards are those of "shards", with commas between them; none are all.
func (p *parameters) shards() (shards []int) {
	if !p.given("shards") {
		return nil
	}
	for text := range strings.SplitSeq(p.values.Get("shards"), ",") {
		shard, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || shard < 0 {
			p.refuse("shards", "shard IDs of 0 or more, with commas between them")
			return nil
		}
		shards = append(shards, shard)
	}
	return shards
}

func (p *parameters) delay(name string) Delay {
	if !p.given(name) {
		return nil
	}
	d, err := ParseDelay(p.values.Get(name))
	if err != nil {
		p.refuse(name, WantDelay)
	}
	return d
}

// WantDelay is what [ParseDelay] reads.
const WantDelay = "a time with its unit such as 300ms, a range such as 100ms-2s, or never"

// longestDelay is far beyond what any client waits for.
const longestDelay = 24 * time.Hour

// ParseDelay reads a [Delay]: a time with its unit such as 300ms, a range such as
// 100ms-2s, from which it is drawn each time, or never. Times are 0 to 24 h.
func ParseDelay(text string) (Delay, error) {
	if text == "never" {
		return Never, nil
	}
	first, last, isRange := strings.Cut(text, "-")
	low, err := time.ParseDuration(first)
	high := low
	if isRange && err == nil {
		high, err = time.ParseDuration(last)
	}
	if err != nil || low < 0 || high < low || high > longestDelay {
		return nil, &gatewayqueue.InvalidError{Field: "delay", Value: text, Want: WantDelay}
	}
	if low == high {
		return Fixed(low), nil
	}
	return Between(low, high, uint64(time.Now().UnixNano())), nil
}
