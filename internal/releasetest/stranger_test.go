package releasetest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A stranger has Go, a proxy with our release and what it needs, and nothing else: an empty module cache.
type stranger struct {
	dir string
	env []string
}

func TestStranger_InstallsTheProgram(t *testing.T) {
	s := newStranger(t, proxy(t, released(t)))
	s.run(t, "go", "install", rootModule+"/cmd/gatewayqueue@latest")
	said := s.run(t, filepath.Join(s.dir, "gatewayqueue"), "version")
	assert.Regexp(t, `^gatewayqueue \Q`+published(t)[0].version+`\E \(module h1:`, said)
}

func TestStranger_ImportsEveryModule(t *testing.T) {
	r := released(t)
	made := proxy(t, r)
	for _, m := range published(t) {
		t.Run(filepath.Base(m.path)+" in "+m.dir, func(t *testing.T) {
			s := newStranger(t, made)
			s.run(t, "go", "mod", "init", "example.com/stranger")
			if strings.HasPrefix(m.dir, "cmd/") { // nobody imports it
				s.run(t, "go", "get", "-tool", m.path+"@latest")
				assert.Contains(t, s.goMod(t), m.path+" "+m.version)
				return
			}
			s.run(t, "go", "get", m.path+"@latest")
			var program strings.Builder
			program.WriteString("package main\n\nimport (\n")
			for _, p := range packages(t, r, m) {
				fmt.Fprintf(&program, "\t_ %q\n", p)
			}
			program.WriteString(")\n\nfunc main() {}\n")
			require.NoError(t, os.WriteFile(filepath.Join(s.dir, "main.go"), []byte(program.String()), 0o644))
			s.run(t, "go", "mod", "tidy")
			s.run(t, "go", "vet", ".")
			s.run(t, "go", "build", "-o", os.DevNull, ".")
			assert.Contains(t, s.goMod(t), m.path+" "+m.version+"\n")
		})
	}
}

// docs/library.md says how to import what is not released yet: with a clone, and nothing of ours from a proxy.
func TestStranger_ImportsFromAClone(t *testing.T) {
	_, section, found := strings.Cut(read(t, "docs/library.md"), "\n### From a clone\n")
	require.True(t, found)
	_, block, found := strings.Cut(section, "\n```sh\n")
	require.True(t, found)
	block, _, _ = strings.Cut(block, "```\n")
	r := unreleased(t, filepath.Join(t.TempDir(), "repository"))
	others := strings.TrimSpace(output(t, r.dir, nil, "go", "env", "GOMODCACHE"))
	s := newStranger(t, fileURL(others))
	s.dir = filepath.Join(s.dir, "bot")
	require.NoError(t, os.Mkdir(s.dir, 0o755))
	s.env = append(s.env, "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://"+r.dir+".insteadOf", "GIT_CONFIG_VALUE_0=https://"+rootModule)
	s.run(t, "go", "mod", "init", "example.com/bot")
	program := "package main\n\nimport (\n\t_ \"" + rootModule + "/promqueue\"\n\t_ \"" + rootModule + "/redisqueue\"\n)\n\nfunc main() {}\n"
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "main.go"), []byte(program), 0o644))
	s.run(t, "bash", "-euc", block)
	s.run(t, "go", "list", "-deps", ".") // all is found, with its sum
	r.git(t, "diff", "--exit-code")
}

// The sums of scripts/release are those that Go finds, so a tag's modules are built without go.work, too.
func TestRelease_LeavesEveryModuleTidy(t *testing.T) {
	r := released(t)
	s := newStranger(t, proxy(t, r))
	for _, m := range published(t) {
		s := stranger{filepath.Join(r.dir, m.dir), s.env}
		s.run(t, "go", "mod", "tidy", "-diff")
	}
}

// packages are those of a module that others may import.
func packages(t *testing.T, r repository, m module) []string {
	t.Helper()
	out := output(t, filepath.Join(r.dir, m.dir), nil, "go", "list", "-f", `{{if and .GoFiles (ne .Name "main")}}{{.ImportPath}}{{end}}`, "./...")
	var all []string
	for p := range strings.FieldsSeq(out) {
		if !strings.Contains(p+"/", "/internal/") {
			all = append(all, p)
		}
	}
	require.NotEmpty(t, all)
	return all
}

// proxy is the address of one with the modules of a repository: Go makes them itself from the tags, as public proxies
// have it do. What they require comes from this machine's module cache, where scripts/release has brought it.
func proxy(t *testing.T, r repository) string {
	t.Helper()
	cache := filepath.Join(t.TempDir(), "proxy")
	env := []string{
		"GOMODCACHE=" + cache, "GOPROXY=off", "GOPRIVATE=" + rootModule, "GOWORK=off", "GOFLAGS=-modcacherw",
		// A fetch from the repository's address gets this one.
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=url.file://" + r.dir + ".insteadOf", "GIT_CONFIG_VALUE_0=https://" + rootModule,
	}
	args := []string{"mod", "download"}
	for _, m := range published(t) {
		args = append(args, m.path+"@"+m.version)
	}
	output(t, t.TempDir(), env, "go", args...)
	others := strings.TrimSpace(output(t, r.dir, nil, "go", "env", "GOMODCACHE"))
	return fileURL(cache) + "," + fileURL(others)
}

func fileURL(cache string) string {
	return "file://" + filepath.ToSlash(filepath.Join(cache, "cache", "download"))
}

func newStranger(t *testing.T, proxies string) stranger {
	t.Helper()
	dir := t.TempDir()
	return stranger{dir, []string{
		"GOMODCACHE=" + t.TempDir(), "GOBIN=" + dir,
		"GOPROXY=" + proxies, "GOSUMDB=off", "GOPRIVATE=", "GOWORK=off",
		// As the image of the container is built, so that what has been compiled once is found again.
		"CGO_ENABLED=0", "GOFLAGS=-trimpath -modcacherw",
	}}
}

func (s stranger) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	return output(t, s.dir, s.env, name, args...)
}

func (s stranger) goMod(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.dir, "go.mod"))
	require.NoError(t, err)
	return string(text)
}
