package serve

import (
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestPageURL_OpensInABrowser(t *testing.T) {
	for at, want := range map[string]string{
		"127.0.0.1:8080":   "http://127.0.0.1:8080/dashboard",
		"0.0.0.0:8080":     "http://localhost:8080/dashboard",
		"[::]:8080":        "http://localhost:8080/dashboard",
		"[fd00::1]:8080":   "http://[fd00::1]:8080/dashboard",
		"192.168.1.2:8080": "http://192.168.1.2:8080/dashboard",
	} {
		addr, err := net.ResolveTCPAddr("tcp", at)
		assert.NoError(t, err)
		assert.Equal(t, want, pageURL(addr))
	}
}
