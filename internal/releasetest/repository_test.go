package releasetest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// A repository is a throw-away one, beside this.
type repository struct{ dir string }

// first holds the repository that has had its first release: it takes some seconds to make.
var first struct {
	sync.Mutex
	parent string
	made   bool
}

func TestMain(m *testing.M) {
	var err error
	if first.parent, err = os.MkdirTemp("", "releasetest"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(first.parent)
	os.Exit(code)
}

// released is a clone of this tree's files after scripts/release with the version that go.work names.
func released(t *testing.T) repository {
	t.Helper()
	first.Lock()
	defer first.Unlock()
	dir := filepath.Join(first.parent, "repository")
	if !first.made {
		unreleased(t, dir).release(t, published(t)[0].version)
		first.made = true
	}
	return repository{dir}.clone(t)
}

// unreleased has this tree's files, committed or not, in its first commit, and no tag.
func unreleased(t *testing.T, dir string) repository {
	t.Helper()
	for _, program := range []string{"bash", "git"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("there is no %s", program)
		}
	}
	if _, err := os.Stat(inRoot(".git")); err != nil {
		t.Skip("this tree is not from Git")
	}
	root, err := filepath.Abs(inRoot("."))
	require.NoError(t, err)
	files := output(t, root, nil, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	for file := range strings.SplitSeq(strings.TrimSuffix(files, "\x00"), "\x00") {
		copyFile(t, filepath.Join(root, file), filepath.Join(dir, file))
	}
	r := repository{dir}
	r.foldChangelog(t, strings.TrimPrefix(published(t)[0].version, "v"))
	r.git(t, "init", "-q", "-b", "main")
	r.commit(t)
	return r
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return // removed, which is not committed yet
	}
	require.NoError(t, err)
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
	require.NoError(t, os.WriteFile(to, text, info.Mode()))
}

// foldChangelog leaves out what has not been moved yet from Unreleased to the section of the version, if there is one.
func (r repository) foldChangelog(t *testing.T, number string) {
	t.Helper()
	head, rest, found := strings.Cut(r.read(t, "CHANGELOG.md"), "## [Unreleased]\n")
	require.True(t, found)
	if at := strings.Index(rest, "## ["+number+"]"); at >= 0 {
		r.write(t, "CHANGELOG.md", head+"## [Unreleased]\n\n"+rest[at:])
	}
}

func (r repository) clone(t *testing.T) repository {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	r.git(t, "clone", "-q", ".", dir)
	return repository{dir}
}

func (r repository) release(t *testing.T, args ...string) string {
	t.Helper()
	out, err := r.tryRelease(t, args...)
	require.NoError(t, err, "%s", out)
	return out
}

func (r repository) tryRelease(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, err := command(t, r.dir, nil, "bash", append([]string{"scripts/release"}, args...)...).CombinedOutput()
	return string(out), err
}

func (r repository) commit(t *testing.T) {
	t.Helper()
	r.git(t, "add", "-A")
	r.git(t, "commit", "-q", "-m", "A change")
}

// reset undoes all since a commit before any tag.
func (r repository) reset(t *testing.T, commit string) {
	t.Helper()
	r.git(t, "reset", "-q", "--hard", strings.TrimSpace(commit))
	r.git(t, "clean", "-fdq")
	for tag := range strings.FieldsSeq(r.git(t, "tag")) {
		r.git(t, "tag", "-d", tag)
	}
}

func (r repository) git(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, r.dir, nil, "git", args...)
}

func (r repository) read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(r.dir, file))
	require.NoError(t, err)
	return string(text)
}

func (r repository) write(t *testing.T, file, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, file), []byte(text), 0o644))
}

func (r repository) replace(t *testing.T, file, before, after string) {
	t.Helper()
	text := r.read(t, file)
	if !strings.Contains(text, before) {
		t.Fatalf("%s has no %q", file, before)
	}
	r.write(t, file, strings.Replace(text, before, after, 1))
}

func output(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := command(t, dir, env, name, args...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s %v in %s: %s%s", name, args, dir, out, &said)
	return string(out)
}

// command knows nothing of this tree's workspace, of the user's Git, and of how tests are built.
func command(t *testing.T, dir string, env []string, name string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...) // in a Cleanup, too
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "GIT_") || strings.HasPrefix(variable, "GOWORK=") || strings.HasPrefix(variable, "GOFLAGS=")
	})
	cmd.Env = append(cmd.Env,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
		"GOFLAGS=-buildvcs=false",
	)
	cmd.Env = append(cmd.Env, env...)
	return cmd
}
