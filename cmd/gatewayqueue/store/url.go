// The forms of a Redis URL, and how to show one without its secrets.

package store

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// Forms are the URLs that every command takes.
const Forms = "redis://[[user]:password@]host:port[/db], rediss:// for TLS, unix:///socket, " +
	"redis-sentinel://[[user]:password@]host:port[,host:port]/mymaster[/db], redis-cluster://[[user]:password@]host:port[,host:port]"

// kind is what stands behind a URL.
type kind int

const (
	single   kind = iota // one server, or a name that leads to the primary
	sentinel             // a primary that Sentinels name
	cluster              // a Cluster
)

// schemes are all there are.
var schemes = map[string]struct {
	kind kind
	tls  bool
	port string // unless the URL has one
}{
	"redis": {single, false, "6379"}, "rediss": {single, true, "6379"}, "unix": {single, false, ""},
	"redis-sentinel": {sentinel, false, "26379"}, "rediss-sentinel": {sentinel, true, "26379"},
	"redis-cluster": {cluster, false, "6379"}, "rediss-cluster": {cluster, true, "6379"},
}

// address is a URL, taken apart.
type address struct {
	scheme, user, password string
	hosts                  []string // host:port, one or more; none for unix
	path                   string   // a socket's; empty for others
	master                 string   // sentinel
	db                     string   // a number, or empty
	query                  url.Values
}

func (a *address) kind() kind { return schemes[a.scheme].kind }

// parse takes a URL apart. Its errors quote no user, no password and no query.
// net/url's quote what it could not read, and take a password that holds a
// slash for a host: what stands before the last @ is cut off before it looks.
func parse(raw string) (*address, error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if _, known := schemes[scheme]; !found || !known {
		return nil, errors.New("it begins with none of these schemes")
	}
	a := &address{scheme: scheme}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	at := strings.LastIndexByte(rest, '@')
	if at > end || at != strings.IndexByte(rest, '@') {
		return nil, errors.New("user and password may hold / ? # % @ and : only as %2F %3F %23 %25 %40 and %3A")
	}
	if at >= 0 {
		user, password, _ := strings.Cut(rest[:at], ":")
		var errs [2]error
		a.user, errs[0] = url.PathUnescape(user)
		a.password, errs[1] = url.PathUnescape(password)
		if errs[0] != nil || errs[1] != nil {
			return nil, errors.New("user or password hold a % that begins no escape: write %25")
		}
		if a.password == "" {
			return nil, errors.New("there is no password in front of the @: write user:password@, or :password@")
		}
		rest, end = rest[at+1:], end-at-1
	}
	if strings.ContainsRune(rest, '#') {
		return nil, errors.New("a # has no meaning here")
	}
	authority := rest[:end]
	path, query, _ := strings.Cut(rest[end:], "?")
	var err error
	if a.query, err = url.ParseQuery(query); err != nil {
		return nil, errors.New("what stands behind the ? is no list of name=value")
	}
	if scheme == "unix" {
		if authority != "" || path == "" || path == "/" {
			return nil, errors.New("a socket is written with three slashes, unix:///path")
		}
		a.path, err = url.PathUnescape(path)
		return a, err
	}
	if a.hosts, err = hosts(authority, schemes[scheme].port); err != nil {
		return nil, err
	}
	if len(a.hosts) > 1 && a.kind() == single {
		return nil, errors.New("several servers are redis-sentinel:// or redis-cluster://")
	}
	return a, a.parsePath(strings.Split(strings.Trim(path, "/"), "/"))
}

func (a *address) parsePath(parts []string) error {
	if parts[0] == "" {
		parts = nil
	}
	if a.kind() == sentinel {
		if len(parts) == 0 {
			return errors.New("the name of the master is missing: redis-sentinel://host:port/mymaster")
		}
		a.master, parts = parts[0], parts[1:]
	}
	switch {
	case len(parts) > 1:
		return errors.New("there is more than a database in the path")
	case len(parts) == 0:
		return nil
	}
	if n, err := strconv.Atoi(parts[0]); err != nil || n < 0 {
		return fmt.Errorf("%q is no database: want a number", parts[0])
	}
	if a.kind() == cluster && parts[0] != "0" {
		return errors.New("a Cluster has only database 0")
	}
	a.db = parts[0]
	return nil
}

var hostname = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?$`)

// hosts reads host:port,host:port. An IPv6 address needs brackets, because its
// last part could be a port.
func hosts(list, port string) ([]string, error) {
	var all []string
	for one := range strings.SplitSeq(list, ",") {
		host, p := one, port
		if i := strings.LastIndexByte(one, ':'); i > strings.LastIndexByte(one, ']') {
			host, p = one[:i], one[i+1:]
		}
		inner, bracket := strings.CutPrefix(host, "[")
		switch {
		case bracket:
			var closed bool
			host, closed = strings.CutSuffix(inner, "]")
			host = strings.Replace(host, "%25", "%", 1) // as a zone is written in a URL
			if ip, err := netip.ParseAddr(host); !closed || err != nil || !ip.Is6() {
				return nil, errors.New("there is a [ without an IPv6 address and a ]")
			}
		case host == "":
			return nil, errors.New("a host is missing")
		case strings.Contains(host, ":"):
			return nil, fmt.Errorf("a host holds a colon: an IPv6 address needs brackets, [::1]:%s", port)
		case !hostname.MatchString(host):
			return nil, errors.New("there is a host that is no name and no address")
		}
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 {
			return nil, errors.New("there is a port that is no number from 1 to 65535")
		}
		all = append(all, net.JoinHostPort(host, p))
	}
	return all, nil
}

// String is the URL without user, password and query.
func (a *address) String() string {
	secret := ""
	if a.user != "" || a.password != "" {
		secret = hidden
	}
	s := a.scheme + "://" + secret + strings.Join(a.hosts, ",") + a.path
	if a.master != "" {
		s += "/" + a.master
	}
	if a.db != "" {
		s += "/" + a.db
	}
	return s
}

// secrets are what must not be shown.
func (a *address) secrets() []string {
	all := []string{a.password}
	for name, values := range a.query {
		if strings.Contains(name, "password") {
			all = append(all, values...)
		}
	}
	for _, s := range slices.Clone(all) {
		all = append(all, url.QueryEscape(s), url.PathEscape(s))
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// Secrets are the passwords in a URL, each as it is and as URLs write it.
func Secrets(rawURL string) []string {
	a, err := parse(rawURL)
	if err != nil {
		return nil
	}
	return a.secrets()
}

const hidden = "...@"

// Redact shows a URL without what stands before its last @, and without its
// query. Of what is no URL it shows no more than a host with its port could be.
func Redact(rawURL string) string {
	if a, err := parse(rawURL); err == nil {
		return a.String()
	}
	if at := strings.LastIndexByte(rawURL, '@'); at >= 0 {
		scheme, _, found := strings.Cut(rawURL[:at], "://")
		if _, known := schemes[scheme]; !known || !found {
			scheme = ""
		} else {
			scheme += "://"
		}
		rawURL = scheme + hidden + rawURL[at+1:]
	}
	if end := strings.IndexAny(rawURL, "?#"); end >= 0 {
		rawURL = rawURL[:end]
	}
	if !strings.ContainsAny(rawURL, ":@") { // a word: maybe the password, where the URL was meant
		return "..."
	}
	if at := strings.LastIndexByte(rawURL, '@'); !shows.MatchString(rawURL[at+1:]) {
		rawURL = rawURL[:at+1] + "..."
	}
	return rawURL
}

// shows is what may be shown of a refused URL: a scheme, hosts with ports that
// are numbers, a path of a word or two.
var shows = regexp.MustCompile(`^([a-z-]+://)?(/[^:]*|([A-Za-z0-9_.,-]*|\[[0-9A-Fa-f:.%a-z]*\])(:[0-9]*)?(,[^,:/]+(:[0-9]+)?)*(/[A-Za-z0-9._-]*){0,2})$`)

// --- clients ---------------------------------------------------------------------

// never are options that would send commands to a replica, where nothing can be
// granted.
var never = []string{"read_only", "replica_only", "route_by_latency", "route_randomly", "use_disconnected_replicas"}

// mostPool is how many connections to a server are enough.
const mostPool = 32

// client makes one, without any I/O. An impatient client fails at once while the
// server is away, where others try again for some seconds.
func (a *address) client(impatient bool) (redis.UniversalClient, error) {
	query := url.Values{}
	for name, values := range a.query {
		query[name] = values
	}
	for _, name := range never {
		if query.Has(name) {
			return nil, fmt.Errorf("%s has no meaning here: all is asked of the primary", name)
		}
	}
	take := func(name string) string {
		defer query.Del(name)
		return query.Get(name)
	}
	if !query.Has("pool_size") { // go-redis's grows with the processors; the queue has no use for it
		query.Set("pool_size", strconv.Itoa(min(10*runtime.GOMAXPROCS(0), mostPool)))
	}
	quiet := &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	switch a.kind() {
	case sentinel:
		name, user, password := take("server_name"), take("sentinel_username"), take("sentinel_password")
		query.Set("master_name", a.master)
		o, err := redis.ParseFailoverURL(a.plain(query))
		if err != nil {
			return nil, plainError(err)
		}
		o.SentinelUsername, o.SentinelPassword, o.Username, o.Password = user, password, a.user, a.password
		o.DisableIdentity = true
		o.TLSConfig = checked(o.TLSConfig, name)
		if impatient {
			o.MaxRetries, o.DialerRetries = -1, 1
		}
		return redis.NewFailoverClient(o), nil
	case cluster:
		name := take("server_name")
		o, err := redis.ParseClusterURL(a.plain(query))
		if err != nil {
			return nil, plainError(err)
		}
		o.Username, o.Password = a.user, a.password
		o.DisableIdentity, o.MaintNotificationsConfig = true, quiet
		o.TLSConfig = checked(o.TLSConfig, name)
		if impatient {
			o.MaxRetries, o.DialerRetries = -1, 1
		}
		return redis.NewClusterClient(o), nil
	}
	o, err := redis.ParseURL(a.plain(query))
	if err != nil {
		return nil, plainError(err)
	}
	o.Username, o.Password = a.user, a.password
	// Two greetings that many servers do not know, and the queue does not need.
	o.DisableIdentity, o.MaintNotificationsConfig = true, quiet
	if impatient {
		o.MaxRetries, o.DialerRetries = -1, 1
	}
	return redis.NewClient(o), nil
}

// plain is the URL as go-redis reads it, without user and password, so that its
// errors can quote none.
func (a *address) plain(query url.Values) string {
	if a.scheme == "unix" {
		return (&url.URL{Scheme: "unix", Path: a.path, RawQuery: query.Encode()}).String()
	}
	scheme := "redis"
	if schemes[a.scheme].tls {
		scheme = "rediss"
	}
	for _, more := range a.hosts[1:] {
		query.Add("addr", more)
	}
	u := &url.URL{Scheme: scheme, Host: a.hosts[0], RawQuery: query.Encode()}
	if a.db != "" && a.kind() != cluster {
		u.Path = "/" + a.db
	}
	return u.String()
}

// checked has each server's certificate checked for the name that it is reached
// by: go-redis would check all for that of the first. name is another one, or
// empty.
func checked(config *tls.Config, name string) *tls.Config {
	if config != nil {
		config.ServerName, config.MinVersion = name, tls.VersionTLS12
	}
	return config
}

func plainError(err error) error {
	return errors.New(strings.TrimPrefix(err.Error(), "redis: "))
}
