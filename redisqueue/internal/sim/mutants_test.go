package sim_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/lua"
	"github.com/gatewayqueue/gatewayqueue/redisqueue/internal/sim"
)

// Mutants of scripts that few schedules find, so that each run of the tests can look.
const quick, quickly = 6, 150

// GATEWAYQUEUE_SIM_MUTANTS is in how many schedules each mutant must be found; without
// it the quick ones are tried. Mutants of package pod are built, so only with it.
func TestMutants_AreFound(t *testing.T) {
	most, _ := strconv.ParseUint(os.Getenv("GATEWAYQUEUE_SIM_MUTANTS"), 10, 64)
	var scripts strings.Builder
	for _, s := range []*lua.Script{lua.Claim, lua.Identified, lua.Renew, lua.Abandon, lua.Beat, lua.Sync} {
		scripts.WriteString(s.Source)
	}
	tried := 0
	for _, m := range sim.Mutants {
		t.Run(m.Name, func(t *testing.T) {
			switch {
			case m.File != "":
				source, err := os.ReadFile(filepath.Join("..", "pod", m.File))
				require.NoError(t, err)
				require.Equal(t, 1, bytes.Count(source, []byte(m.Old)), "%s has no such line any more", m.File)
				if most > 0 {
					t.Log(build(t, m, bytes.Replace(source, []byte(m.Old), []byte(m.New), 1), most))
				}
			case most > 0:
				require.Contains(t, scripts.String(), m.Old, "the scripts have no such line any more")
				t.Log(find(t, &m, most))
			default:
				require.Contains(t, scripts.String(), m.Old, "the scripts have no such line any more")
				if m.Quick && tried < quick {
					tried++
					t.Log(find(t, &m, quickly))
				}
			}
		})
	}
}

func find(t *testing.T, m *sim.Mutant, most uint64) string {
	for seed := range most {
		v := sim.RunMutant(seed, m)
		if v.Broken != "" {
			return "breaks " + v.Broken + " after " + strconv.FormatUint(seed+1, 10) + " schedules: " + v.How
		}
	}
	t.Errorf("not found in %d schedules", most)
	return ""
}

// build builds this test with other source for a file of package pod, and has it look.
func build(t *testing.T, m sim.Mutant, source []byte, most uint64) string {
	dir := t.TempDir()
	original, err := filepath.Abs(filepath.Join("..", "pod", m.File))
	require.NoError(t, err)
	mutant, overlay := filepath.Join(dir, m.File), filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(mutant, source, 0o600))
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{original: mutant}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(overlay, text, 0o600))
	command := exec.CommandContext(t.Context(), "go", "test", "-vet=off", "-overlay", overlay, "-run", "TestBuilt", "-count=1", "-v", ".")
	command.Env = append(os.Environ(), "GATEWAYQUEUE_SIM_BUILT="+strconv.FormatUint(most, 10))
	out, err := command.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return regexp.MustCompile(`breaks .*`).FindString(string(out))
}

// TestBuilt is run by build, in the mutant.
func TestBuilt_BreaksARule(t *testing.T) {
	most, _ := strconv.ParseUint(os.Getenv("GATEWAYQUEUE_SIM_BUILT"), 10, 64)
	if most > 0 {
		t.Log(find(t, nil, most))
	}
}
