// What GitHub reads: workflows, Dependabot's list, issue forms; and the Makefile beside them.

package deploycheck

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// whole decodes a file of which the type must name everything.
func whole[T any](t *testing.T, file string) T {
	t.Helper()
	var value T
	require.NoError(t, yaml.UnmarshalStrict([]byte(read(t, file)), &value), file)
	return value
}

// dependents are the folders, as Dependabot names them, of each ecosystem's files.
func dependents(t *testing.T) map[string][]string {
	t.Helper()
	ecosystems := map[string]string{
		"go.mod": "gomod", "package.json": "npm", "pyproject.toml": "pip", "requirements.txt": "pip",
		"Dockerfile": "docker", "docker-compose.yml": "docker-compose",
	}
	folders := map[string][]string{"github-actions": {"/"}}
	root := os.DirFS("../..")
	require.NoError(t, fs.WalkDir(root, ".", func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := entry.Name(); entry.IsDir() && (name == "node_modules" || name == "testdata" || file != "." && name[0] == '.') {
			return fs.SkipDir
		}
		if ecosystem, ok := ecosystems[entry.Name()]; ok && !entry.IsDir() {
			folders[ecosystem] = append(folders[ecosystem], path.Join("/", path.Dir(file)))
		}
		return nil
	}))
	return folders
}

func TestDependabot_ListsEveryManifest(t *testing.T) {
	type update struct {
		Ecosystem   string   `json:"package-ecosystem"`
		Directories []string `json:"directories"`
	}
	listed := map[string][]string{}
	for _, u := range part[struct{ Updates []update }](t, ".github/dependabot.yml").Updates {
		listed[u.Ecosystem] = append(listed[u.Ecosystem], u.Directories...)
	}
	for ecosystem, folders := range dependents(t) {
		assert.ElementsMatch(t, folders, listed[ecosystem], "the directories of %s in .github/dependabot.yml", ecosystem)
		delete(listed, ecosystem)
	}
	assert.Empty(t, slices.Sorted(maps.Keys(listed)), "ecosystems of which there is no file")
}

// part decodes what the type names of a file, and leaves the rest alone.
func part[T any](t *testing.T, file string) T {
	t.Helper()
	var value T
	require.NoError(t, yaml.Unmarshal([]byte(read(t, file)), &value), file)
	return value
}

type workflow struct {
	Permissions map[string]string
	Concurrency map[string]any
	Defaults    struct{ Run struct{ Shell string } }
	Jobs        map[string]struct {
		Permissions    map[string]string
		TimeoutMinutes int `json:"timeout-minutes"`
		Strategy       struct {
			Matrix struct {
				Include []struct{ Go, Server string }
			}
		}
		Steps []struct {
			Uses string
			With map[string]any
		}
	}
}

func workflows(t *testing.T) map[string]workflow {
	t.Helper()
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	all := map[string]workflow{}
	for _, file := range files {
		name := filepath.Base(file)
		all[name] = part[workflow](t, ".github/workflows/"+name)
	}
	return all
}

// A tag of an action can be moved to other code; a commit cannot.
func TestWorkflows_PinEveryActionToACommit(t *testing.T) {
	pinned := regexp.MustCompile(`^[\w./-]+@[0-9a-f]{40}$`)
	commented := regexp.MustCompile(`uses: (\S+)( # v[0-9.]+)?\n`)
	commits := map[string]string{}
	for name := range workflows(t) {
		for _, use := range commented.FindAllStringSubmatch(read(t, ".github/workflows/"+name), -1) {
			action, commit, _ := strings.Cut(use[1], "@")
			assert.Regexp(t, pinned, use[1], name)
			assert.NotEmpty(t, use[2], "%s: %s says no version behind its commit", name, action)
			if other := commits[action]; other != "" {
				assert.Equal(t, other, commit, "%s has two commits", action)
			}
			commits[action] = commit
		}
	}
	assert.NotEmpty(t, commits)
}

func TestWorkflows_MayDoNoMoreThanTheyNeed(t *testing.T) {
	for name, w := range workflows(t) {
		assert.Equal(t, map[string]string{"contents": "read"}, w.Permissions, "%s: a job that needs more says so itself", name)
		assert.NotEmpty(t, w.Concurrency, name)
		assert.Equal(t, "bash", w.Defaults.Run.Shell, "%s: without it a failure on the left of a pipe passes", name)
		for id, job := range w.Jobs {
			assert.Positive(t, job.TimeoutMinutes, "%s: %s runs for up to six hours", name, id)
			if name != "release.yml" {
				assert.Empty(t, job.Permissions, "%s: %s", name, id)
			}
			for _, step := range job.Steps {
				if strings.HasPrefix(step.Uses, "actions/checkout@") {
					assert.Equal(t, false, step.With["persist-credentials"], "%s: %s leaves a token in the checkout", name, id)
				}
			}
		}
	}
}

func TestWorkflows_TestEveryServerAndTheOldestGo(t *testing.T) {
	servers, gos := map[string]bool{}, map[string]bool{}
	for _, row := range workflows(t)["test.yml"].Jobs["matrix"].Strategy.Matrix.Include {
		servers[row.Server], gos[row.Go] = true, true
	}
	recipes := regexp.MustCompile(`(?m)^    ([a-z]+-[0-9.]+)\) +echo `).FindAllStringSubmatch(read(t, "scripts/redis"), -1)
	require.NotEmpty(t, recipes)
	for _, recipe := range recipes {
		assert.True(t, servers[recipe[1]], "no row of test.yml has %s", recipe[1])
		delete(servers, recipe[1])
	}
	assert.Empty(t, servers, "servers that scripts/redis does not know")
	oldest := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "go.mod"))
	require.NotNil(t, oldest)
	assert.True(t, gos[oldest[1]], "no row of test.yml has Go %s, of go.mod", oldest[1])
	assert.Contains(t, read(t, "CONTRIBUTING.md"), "Go "+oldest[1], "the policy names the oldest Go")
}

// One file's name of sums, one list of platforms: the release's parts hand each other files.
func TestRelease_PartsAgree(t *testing.T) {
	type build struct {
		Dir    string
		Goos   []string
		Goarch []string
	}
	release := part[struct {
		Builds   []build
		Checksum struct {
			NameTemplate string `json:"name_template"`
		}
	}](t, ".goreleaser.yaml")
	require.Len(t, release.Builds, 1)
	assert.FileExists(t, filepath.Join("../..", release.Builds[0].Dir, "go.mod"))
	check, stage := read(t, "scripts/check-release"), read(t, "scripts/image-stage")
	assert.Contains(t, check, "for os in "+strings.Join(release.Builds[0].Goos, " ")+"; do")
	assert.Contains(t, check, "for arch in "+strings.Join(release.Builds[0].Goarch, " ")+"; do")
	assert.Contains(t, stage, "for arch in "+strings.Join(release.Builds[0].Goarch, " ")+"; do")
	assert.Contains(t, read(t, ".github/workflows/release.yml"), "subject-checksums: dist/"+release.Checksum.NameTemplate)
}

func TestIssueForms_AskForWhatIsThere(t *testing.T) {
	type form struct {
		Name, Description string
		Labels            []string
		Body              []struct {
			Type, ID    string
			Attributes  map[string]any
			Validations map[string]bool
		}
	}
	for _, name := range []string{"bug.yml", "feature.yml"} {
		f := whole[form](t, ".github/ISSUE_TEMPLATE/"+name)
		assert.NotEmpty(t, f.Name)
		assert.NotEmpty(t, f.Description)
		ids := map[string]bool{}
		for _, field := range f.Body {
			assert.Contains(t, []string{"markdown", "textarea", "input", "dropdown", "checkboxes"}, field.Type)
			if field.Type != "markdown" {
				assert.NotEmpty(t, field.Attributes["label"], name)
				assert.False(t, ids[field.ID], "%s: two fields %q", name, field.ID)
				ids[field.ID] = true
			}
		}
	}
	assert.Contains(t, read(t, ".github/ISSUE_TEMPLATE/bug.yml"), "gatewayqueue status --json")
}

func TestMakefile_EachTargetHasHelpAndItsScript(t *testing.T) {
	makefile := read(t, "Makefile")
	targets := regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):(.*)\n`).FindAllStringSubmatch(makefile, -1)
	require.Greater(t, len(targets), 10)
	for _, target := range targets {
		assert.Regexp(t, ` ## \S`, target[2], "make %s", target[1])
	}
	scripts := regexp.MustCompile(`(?m)^\t(scripts/[a-z0-9-]+)`).FindAllStringSubmatch(makefile, -1)
	require.NotEmpty(t, scripts)
	for _, script := range scripts {
		assert.FileExists(t, filepath.Join("../..", script[1]))
	}
}

func TestPagesOutsideDocs_LinkToWhatIsThere(t *testing.T) {
	for _, page := range []string{"SECURITY.md", "CONTRIBUTING.md"} {
		for _, link := range regexp.MustCompile(`\]\(([^)#]+)`).FindAllStringSubmatch(read(t, page), -1) {
			if !strings.Contains(link[1], "://") {
				assert.FileExists(t, filepath.Join("../..", link[1]), page)
			}
		}
	}
}
