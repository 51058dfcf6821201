package releasetest

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRelease_RefusesWhatIsNotReady(t *testing.T) {
	r := unreleased(t, filepath.Join(t.TempDir(), "repository"))
	first := r.git(t, "rev-parse", "HEAD")
	for name, test := range map[string]struct {
		args   string
		change func(t *testing.T, r repository)
		says   string
	}{
		"no version":                   {"", nil, `"" is no version`},
		"a version without v":          {"0.1.0", nil, `"0.1.0" is no version`},
		"a second major version":       {"v2.0.0", nil, "each module would need another path"},
		"changes that are uncommitted": {"v0.9.9", func(t *testing.T, r repository) { r.write(t, "new.txt", "") }, "?? new.txt\nscripts/release: these changes are not committed: commit them, or git stash -u"},
		"changes by a command of Go": {"v0.9.9", func(t *testing.T, r repository) {
			r.replace(t, "go.work.sum", "\n", " \n")
			r.replace(t, "promqueue/go.sum", "\n", " \n")
		}, "take it back: git checkout -- go.work.sum promqueue/go.sum\n"},
		"a tag that is there": {"v0.1.0", func(t *testing.T, r repository) {
			r.git(t, "tag", "promqueue/v0.1.0")
		}, "there is a tag promqueue/v0.1.0 already"},
		"a version before the last": {"v0.1.0", func(t *testing.T, r repository) {
			r.git(t, "tag", "v0.2.0")
		}, "v0.1.0 is not after v0.2.0"},
		"a candidate after its release": {"v0.1.0-rc.1", func(t *testing.T, r repository) {
			r.git(t, "tag", "v0.1.0")
		}, "v0.1.0-rc.1 is not after v0.1.0"},
		"nothing in the changelog": {"v0.9.9", func(t *testing.T, r repository) {
			r.write(t, "CHANGELOG.md", "## [Unreleased]\n\n## [0.0.1] - 2026-01-01\n\n- Old.\n")
			r.commit(t)
		}, "neither a section [0.9.9] nor a line under Unreleased"},
		"an empty section": {"v0.9.9", func(t *testing.T, r repository) {
			r.write(t, "CHANGELOG.md", "## [Unreleased]\n\n## [0.9.9]\n\n## [0.0.1] - 2026-01-01\n\n- Old.\n")
			r.commit(t)
		}, "[0.9.9] is empty"},
		"lines beside the section": {"v0.9.9", func(t *testing.T, r repository) {
			r.write(t, "CHANGELOG.md", "## [Unreleased]\n\n- New.\n\n## [0.9.9]\n\n- Newer.\n")
			r.commit(t)
		}, "the lines under Unreleased belong there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Cleanup(func() { r.reset(t, first) })
			if test.change != nil {
				test.change(t, r)
			}
			tags, head := r.git(t, "tag"), r.git(t, "rev-parse", "HEAD")
			out, err := r.tryRelease(t, strings.Fields(test.args)...)
			require.Error(t, err, "%s", out)
			assert.Contains(t, out, test.says)
			assert.Equal(t, tags, r.git(t, "tag"))
			assert.Equal(t, head, r.git(t, "rev-parse", "HEAD"))
		})
	}
}

func TestRelease_TagsEveryModule(t *testing.T) {
	r := released(t)
	version := published(t)[0].version
	tags := strings.Fields(r.git(t, "tag", "--points-at", "HEAD"))
	var want []string
	for _, m := range published(t) {
		want = append(want, m.tag(version))
	}
	assert.ElementsMatch(t, want, tags)
	assert.Equal(t, "Release "+version+"\n", r.git(t, "log", "-1", "--format=%s"))
	assert.Empty(t, r.git(t, "status", "--porcelain"))
	for _, page := range []string{"README.md", "docs/library.md", "docs/kubernetes.md"} {
		assert.NotContains(t, r.read(t, page), "released yet", page)
	}
	assert.Regexp(t, `\n## \[`+version[1:]+`\] - \d{4}-\d\d-\d\d\n`, r.read(t, "CHANGELOG.md"))
}

func TestRelease_RehearsalChangesNothing(t *testing.T) {
	r := unreleased(t, filepath.Join(t.TempDir(), "repository"))
	tags, head := r.git(t, "tag"), r.git(t, "rev-parse", "HEAD")
	r.replace(t, "CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n- A line.\n")
	r.commit(t)
	out := r.release(t, "--dry-run", "v0.9.0-rc.1")
	assert.Contains(t, out, "git push origin v0.9.0-rc.1\n")
	assert.Contains(t, out, "promqueue/go.mod")
	assert.Contains(t, out, "nothing has changed here")
	assert.Equal(t, tags, r.git(t, "tag"))
	assert.Equal(t, head, r.git(t, "rev-parse", "HEAD^"))
	assert.Empty(t, r.git(t, "status", "--porcelain"))
}

func TestRelease_KnowsWhatBreaksOthersCode(t *testing.T) {
	r := released(t)
	r.replace(t, "CHANGELOG.md", "## [Unreleased]\n", "## [Unreleased]\n\n### Changed\n\n- A line.\n")
	r.replace(t, "promqueue/collector.go", "\nfunc New(", "\nfunc Make(")
	r.commit(t)
	version := published(t)[0].version
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	require.Equal(t, "v0 1", major+" "+minor, "the versions below come after the first")

	out, err := r.tryRelease(t, "v0.1.9")
	require.Error(t, err)
	assert.Contains(t, out, "New: removed")
	assert.Contains(t, out, "a patch version will not do")

	r.git(t, "checkout", "-q", ".")
	r.replace(t, "CHANGELOG.md", "### Changed\n", "### Upgrading\n\n- Write promqueue.Make.\n\n### Changed\n")
	r.commit(t)
	r.release(t, "v0.2.0")
	assert.Regexp(t, `## \[Unreleased\]\n\n## \[0\.2\.0\] - \d{4}-\d\d-\d\d\n\n### Upgrading\n`, r.read(t, "CHANGELOG.md"))
	for _, file := range []string{"go.work", "promqueue/go.mod", "cmd/gatewayqueue/go.mod", "cmd/gatewayqueue/go.sum", "bench/go.mod"} {
		text := r.read(t, file)
		assert.Regexp(t, `\Q`+rootModule+`\E v0\.2\.0\b`, text, file)
		assert.NotRegexp(t, `\Q`+rootModule+`\E\S* v0\.1\.`, text, file)
	}
	assert.Contains(t, r.read(t, "clients/js/package.json"), `"version": "0.2.0"`)
	assert.Contains(t, r.read(t, "clients/python/pyproject.toml"), `version = "0.2.0"`)
	assert.Contains(t, r.read(t, "deploy/helm/gatewayqueue/Chart.yaml"), "\nversion: 0.2.0\nappVersion: 0.2.0\n")
	assert.NotEmpty(t, r.git(t, "tag", "--list", "promqueue/v0.2.0"))
}
