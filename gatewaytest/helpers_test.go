// What the tests of this package share.

package gatewaytest_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// getJSON reads the answer to GET url, which must be a success, into v.
func getJSON(t *testing.T, url string, v any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, doJSON(t, req, v))
}

// doJSON reads the answer to req into v and returns its status.
func doJSON(t *testing.T, req *http.Request, v any) int {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer func() { _ = res.Body.Close() }()
	require.NoError(t, json.NewDecoder(res.Body).Decode(v))
	return res.StatusCode
}
