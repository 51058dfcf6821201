package deploycheck

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Docker looks for a short name in its own registry; buildah and podman ask, or refuse it.
func TestContainerFiles_NameTheRegistryOfEachImage(t *testing.T) {
	files := []string{"Dockerfile", "docker-compose.yml"}
	entries, err := os.ReadDir("../../deploy")
	require.NoError(t, err)
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".yml") {
			files = append(files, "deploy/"+entry.Name())
		}
	}
	image := regexp.MustCompile(`(?m)^(?:FROM (?:--platform=\S+ )?|\s+image: )(\S+)`)
	found := 0
	for _, file := range files {
		for _, match := range image.FindAllStringSubmatch(read(t, file), -1) {
			if match[1] == "scratch" || strings.HasPrefix(match[1], "${") { // nothing, and the reader's own
				continue
			}
			found++
			assert.Regexp(t, `^[a-z0-9-]+(\.[a-z0-9-]+)+/`, match[1], file)
		}
	}
	assert.Positive(t, found)
}
