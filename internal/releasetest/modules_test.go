// Package releasetest takes what a release of this repository is for strangers: its modules, as go get and go install find
// them, and the script that tags them.
package releasetest

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// rootModule is the first module, whose path is the beginning of all others.
const rootModule = "github.com/gatewayqueue/gatewayqueue"

// unpublished are the modules that get no tag, beside those of internal: nobody imports them.
var unpublished = []string{"bench", "examples"}

// A module is a published one: it stands in go.work's replacements.
type module struct {
	path    string
	dir     string // from the root of the repository, slash-separated; "." is the root
	version string // as all require it
}

// tag is what Go looks for in the repository.
func (m module) tag(version string) string {
	if m.dir == "." {
		return version
	}
	return m.dir + "/" + version
}

// modFile is as much of go mod edit -json and go work edit -json as is looked at.
type modFile struct {
	Module  struct{ Path string }
	Use     []struct{ DiskPath string }
	Require []struct{ Path, Version string }
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
}

func TestModules_HaveNoReplacement(t *testing.T) {
	for _, dir := range allModules(t) {
		assert.Empty(t, goMod(t, dir).Replace, "go install refuses a module with a replacement: %s/go.mod", dir)
	}
}

func TestModules_RequireOneVersionOfEachOther(t *testing.T) {
	version := published(t)[0].version
	for _, m := range published(t) {
		assert.Equal(t, version, m.version, "%s in go.work", m.path)
	}
	for _, dir := range allModules(t) {
		for _, r := range goMod(t, dir).Require {
			if r.Path == rootModule || strings.HasPrefix(r.Path, rootModule+"/") {
				assert.Equal(t, version, r.Version, "%s in %s/go.mod", r.Path, dir)
			}
		}
	}
}

func TestModules_ArePublishedUnlessInternal(t *testing.T) {
	var want, got []string
	for _, dir := range allModules(t) {
		first, _, _ := strings.Cut(dir, "/")
		if first != "internal" && !slices.Contains(unpublished, first) {
			want = append(want, goMod(t, dir).Module.Path)
		}
	}
	for _, m := range published(t) {
		got = append(got, m.path)
		assert.Equal(t, m.path, goMod(t, m.dir).Module.Path)
		assert.Equal(t, m.path, strings.TrimSuffix(rootModule+"/"+m.dir, "/."), "Go looks for a module in the folder of its name")
	}
	assert.ElementsMatch(t, want, got, "go.work's replacements")
}

// Whatever is published from this repository has the same version.
func TestClientsAndChart_HaveTheModulesVersion(t *testing.T) {
	for file, version := range map[string]string{
		"clients/js/package.json":             `"version": "(.+)"`,
		"clients/python/pyproject.toml":       `(?m)^version = "(.+)"$`,
		"deploy/helm/gatewayqueue/Chart.yaml": `(?m)^version: (.+)\nappVersion: .+$`,
	} {
		found := regexp.MustCompile(version).FindStringSubmatch(read(t, file))
		require.NotNil(t, found, file)
		assert.Equal(t, published(t)[0].version, "v"+found[1], file)
	}
}

func published(t *testing.T) []module {
	t.Helper()
	var all []module
	for _, r := range goWork(t).Replace {
		all = append(all, module{path: r.Old.Path, dir: filepath.ToSlash(filepath.Clean(r.New.Path)), version: r.Old.Version})
	}
	require.NotEmpty(t, all)
	require.Equal(t, rootModule, all[0].path)
	return all
}

func allModules(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for _, use := range goWork(t).Use {
		dirs = append(dirs, filepath.ToSlash(filepath.Clean(use.DiskPath)))
	}
	return dirs
}

func goWork(t *testing.T) modFile { return edited(t, "work", "edit", "-json", inRoot("go.work")) }

func goMod(t *testing.T, dir string) modFile {
	return edited(t, "mod", "edit", "-json", inRoot(dir+"/go.mod"))
}

func edited(t *testing.T, args ...string) (file modFile) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", args...).Output()
	require.NoError(t, err, "go %v", args)
	require.NoError(t, json.Unmarshal(out, &file))
	return file
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(inRoot(file))
	require.NoError(t, err)
	return string(text)
}

func inRoot(file string) string { return filepath.Join("..", "..", filepath.FromSlash(file)) }
