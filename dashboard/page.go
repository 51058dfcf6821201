// The page: one document, made of the files in page/ when the program starts.

package dashboard

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"strings"
)

//go:embed page
var files embed.FS

// scripts are the files of the page's script, in order: each uses only what those
// before it have. They are one script, in strict mode.
var scripts = []string{"words.js", "picture.js", "detail.js", "dom.js", "cards.js", "buckets.js", "timeline.js", "history.js", "tables.js", "shards.js", "plan.js", "panel.js", "orders.js", "apps.js", "main.js"}

// page is the document and the policy that lets nothing run in it but its own
// script: the browser compares hashes.
// https://www.w3.org/TR/CSP3/
var page = newPage()

type document struct {
	html    []byte
	policy  string
	version string // differs from that of any other page
}

func newPage() document {
	script, style := "'use strict';\n", read("page.css")
	for _, name := range scripts {
		script += read(name)
	}
	html := strings.NewReplacer("/*style*/", style, "/*script*/", script).Replace(read("page.html"))
	return document{
		html: []byte(html), version: hash(html),
		policy: strings.Join([]string{
			"default-src 'none'", "script-src " + hash(script), "style-src " + hash(style), "connect-src 'self'",
			"img-src data:", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
		}, "; "),
	}
}

func read(name string) string {
	text, err := files.ReadFile("page/" + name)
	if err != nil {
		panic(err) // it is not in the program
	}
	return string(text)
}

func hash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}
