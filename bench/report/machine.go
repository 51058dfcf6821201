package report

// What the runs ran on.

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/gatewayqueue/gatewayqueue/bench/server"
)

// Machine is one sentence about it.
func Machine() string {
	text := fmt.Sprintf("%d cores", runtime.NumCPU())
	if model := cpuModel(); model != "" {
		text += " of " + model
	}
	return fmt.Sprintf("%s, %s/%s, %s", text, runtime.GOOS, runtime.GOARCH, memory())
}

// Versions are those of what was measured, one name and version each.
func Versions() []string {
	list := []string{runtime.Version()}
	if v, err := server.Version(); err == nil {
		list = append(list, v)
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return list
	}
	return append(list, of(info, "go-redis/v9", "redis_rate", "redislock", "redsync", "disgo")...)
}

// ProxyVersions are those of the proxies that are compared.
func ProxyVersions() string {
	list := []string{runtime.Version()}
	if info, ok := debug.ReadBuildInfo(); ok {
		list = append(list, of(info, "coder/websocket")...)
	}
	return strings.Join(list, ", ")
}

// of names the modules of the build whose paths say so.
func of(info *debug.BuildInfo, peers ...string) (list []string) {
	for _, m := range info.Deps {
		for _, peer := range peers {
			if strings.HasSuffix(m.Path, peer) || strings.Contains(m.Path, "/"+peer+"/") {
				list = append(list, m.Path+" "+m.Version)
			}
		}
	}
	return list
}

// Load is the machine's load average of the last minute, or "" where it cannot
// be told.
func Load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	one, _, _ := strings.Cut(string(text), " ")
	return one
}

func cpuModel() string { return procField("/proc/cpuinfo", "model name") }

func memory() string {
	var kib int
	if _, err := fmt.Sscanf(procField("/proc/meminfo", "MemTotal"), "%d kB", &kib); err != nil {
		return "memory unknown"
	}
	return fmt.Sprintf("%d GiB", (kib+1<<19)>>20)
}

// procField is the first value of a field in a file of lines "field : value".
func procField(file, field string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == field {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
