// The page: one document, made of three files when the program starts.

package dashboard

import (
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"strings"
)

var (
	//go:embed page.html
	markup string
	//go:embed page.css
	style string
	//go:embed page.js
	script string
)

// page is the document and the policy that lets nothing run in it but its own
// script: the browser compares hashes.
// https://www.w3.org/TR/CSP3/
var page = struct {
	html   []byte
	policy string
}{
	html: []byte(strings.NewReplacer("/*style*/", style, "/*script*/", script).Replace(markup)),
	policy: strings.Join([]string{
		"default-src 'none'", "script-src " + hash(script), "style-src " + hash(style), "connect-src 'self'",
		"img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
	}, "; "),
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
