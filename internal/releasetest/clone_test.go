package releasetest

import (
	"path"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

// scripts/release takes no tree that has changed, so nothing that a newcomer does may change one.
func TestClone_StaysCleanAfterCommands(t *testing.T) {
	r := unreleased(t, filepath.Join(t.TempDir(), "repository"))
	for _, args := range []string{
		"doc .", "list -m all", "list -deps ./...", "list -m -json all", "mod graph", "mod verify", "mod why -m github.com/redis/go-redis/v9",
		"mod download", "mod download -json", "work sync", "mod tidy", "doc ./redisqueue",
	} {
		t.Run("go "+args, func(t *testing.T) {
			output(t, r.dir, nil, "go", strings.Fields(args)...)
			changes := r.git(t, "status", "--porcelain")
			if !assert.Empty(t, changes, "scripts/tidy leaves the files as Go would\n%s", r.git(t, "diff")) {
				r.git(t, "checkout", "-q", ".") // each command by itself
			}
		})
	}
}

// What is built where the pages say, or where one stands, is no change either.
func TestClone_IgnoresWhatIsBuiltInIt(t *testing.T) {
	r := repository{inRoot(".")}
	files := []string{
		"dist/SHA256SUMS", "gatewayqueue-0.1.0.tgz", // goreleaser, helm package
		"clients/js/node_modules/a", "clients/js/gatewayqueue-discord-0.1.0.tgz", // npm install, npm pack
		"clients/python/dist/a.whl", "clients/python/build/a", "clients/python/src/gatewayqueue_discord.egg-info/a", ".venv/a", "clients/python/.venv/a",
		"deploy/helm/examples/bot/charts/gatewayqueue-0.1.0.tgz", "deploy/helm/examples/bot/Chart.lock", // helm dependency update
		"coverage.out", "redisqueue/redisqueue.test", "redisqueue.test", "cpu.prof", ".env",
	}
	mains := output(t, inRoot("."), nil, "go", "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "github.com/gatewayqueue/...")
	for main := range strings.FieldsSeq(mains) {
		dir := strings.TrimPrefix(main, rootModule+"/")
		if dir != path.Base(main) { // else a folder is in the way, and Go refuses
			files = append(files, path.Base(main))
		}
		files = append(files, dir+"/"+path.Base(main))
	}
	for _, file := range files {
		out, err := command(t, r.dir, nil, "git", "check-ignore", "--no-index", "-q", file).CombinedOutput()
		assert.NoError(t, err, "%s is not in .gitignore %s", file, out)
	}
}
