//go:build unix

// The program on a terminal: a real pseudo-terminal, and an emulator that shows
// what a user would see.

package main_test

import (
	"io"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/gatewayqueue/gatewayqueue/internal/redistest"
)

// terminal shows what a program draws.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	screen *screen
	keys   interface{ Write([]byte) (int, error) }
	resize func(width, height int)
	ended  chan struct{} // closed when all that it wrote is on the screen
}

// screen is an emulator that one goroutine writes and another looks at. vt's own
// SafeEmulator does not guard its text.
type screen struct {
	mu       sync.Mutex
	emulator *vt.Emulator
}

func (s *screen) locked(f func(*vt.Emulator)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.emulator)
}

func (s *screen) write(p []byte) { s.locked(func(e *vt.Emulator) { _, _ = e.Write(p) }) } // It never fails.

func (s *screen) resize(width, height int) {
	s.locked(func(e *vt.Emulator) { e.Resize(width, height) })
}

func (s *screen) text() (all string) {
	s.locked(func(e *vt.Emulator) { all = e.String() })
	return all
}

func (s *screen) alternate() (is bool) {
	s.locked(func(e *vt.Emulator) { is = e.IsAltScreen() })
	return is
}

// shell is what stands on the screen before the program starts.
const shell = "$ gatewayqueue"

func newTerminal(t *testing.T, width, height int, args ...string) *terminal {
	t.Helper()
	cmd := command(t, args...)
	cmd.Env = append(cmd.Env, "TERM=xterm-256color")
	file, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}) //nolint:gosec // A few hundred.
	require.NoError(t, err)
	s := &terminal{t: t, cmd: cmd, screen: &screen{emulator: vt.NewEmulator(width, height)}, keys: file, ended: make(chan struct{})}
	s.screen.write([]byte(shell + "\r\n"))
	s.resize = func(width, height int) {
		s.screen.resize(width, height)
		require.NoError(t, pty.Setsize(file, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)})) //nolint:gosec // A few hundred.
	}
	go func() {
		defer close(s.ended)
		buffer := make([]byte, 64<<10)
		for {
			n, err := file.Read(buffer) // EIO once the program has ended
			s.screen.write(buffer[:n])
			if err != nil {
				return
			}
		}
	}()
	go func() { // the terminal's answers to what the program asks of it
		buffer := make([]byte, 1024)
		for {
			n, err := s.screen.emulator.Read(buffer)
			if err != nil {
				return
			}
			_, _ = file.Write(buffer[:n]) // It may have ended.
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // It may have ended.
		_ = file.Close()
		<-s.ended
		_ = s.screen.emulator.InputPipe().(io.Closer).Close() // Close itself would race with Read.
	})
	return s
}

// lines are what is on the screen.
func (s *terminal) lines() []string {
	lines := strings.Split(s.screen.text(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " \r")
	}
	return lines
}

func (s *terminal) text() string { return strings.Join(s.lines(), "\n") }

// await waits until the screen shows what is expected.
func (s *terminal) await(what string, is func(text string) bool) {
	s.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !is(s.text()) {
		if time.Now().After(deadline) {
			require.FailNow(s.t, "the screen never showed: "+what, "%s", s.text())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *terminal) awaits(text string) {
	s.t.Helper()
	s.await(text, func(all string) bool { return strings.Contains(all, text) })
}

func (s *terminal) press(keys string) {
	s.t.Helper()
	_, err := s.keys.Write([]byte(keys))
	require.NoError(s.t, err)
}

// code waits for the end, and returns the exit code.
func (s *terminal) code() int {
	s.t.Helper()
	_ = s.cmd.Wait() // The code is what counts.
	<-s.ended
	return s.cmd.ProcessState.ExitCode()
}

// whole says that a screen is one frame and nothing else: the title first, the keys
// last, and each label once.
func (s *terminal) whole(title string) bool {
	lines := s.lines()
	text := strings.Join(lines, "\n")
	once := func(what string) bool { return strings.Count(text, what) == 1 }
	return strings.HasPrefix(lines[0], " "+title) && strings.HasPrefix(lines[len(lines)-1], " q quit") &&
		once(" budget  ") && once("\n bucket  slot") && once("q quit")
}

func TestTerminal_DemoIsRedrawnAtEachSizeAndEndsWithTheSummary(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, 100, 30, "demo", "--remaining", "8", "--window", "20s")
	s.awaits("8 will wait until the reset")
	s.await("a whole frame", func(string) bool { return s.whole("demo: 16 shards") })
	assert.True(t, s.screen.alternate())
	for _, size := range [][2]int{{60, 14}, {40, 12}, {200, 50}, {80, 24}} {
		s.resize(size[0], size[1])
		s.await("a whole frame after a change of size", func(string) bool { return s.whole("demo: 16 shards") })
	}
	s.press("?")
	s.awaits("quit; the last picture stays")
	s.press("?")
	s.press("/7\r")
	s.await("one bucket of four", func(text string) bool {
		return strings.Contains(text, "\n      3  ") && strings.Contains(text, "/ 7 esc shows all")
	})
	s.press("\x1b") // with nothing behind it for a moment: else it is Alt
	s.awaits("/ filter")
	s.press("s")
	s.awaits("sort: waiting")
	s.press("p")
	s.awaits("paused")
	s.press("q")
	assert.Zero(t, s.code())
	assert.False(t, s.screen.alternate())
	text := s.text()
	assert.True(t, strings.HasPrefix(text, shell+"\n"), "what was there before is there again:\n%s", text)
	assert.Contains(t, text, "demo, ended early: ")
	assert.Contains(t, text, " of 16 shards up so far, no violations")
	assert.Contains(t, text, "over budget  0")
	assert.Contains(t, text, "● pod-1  ■ pod-2", "the timeline stays")
	assert.NotContains(t, text, "q quit")
}

func TestTerminal_DemoThatIsInterruptedSumsUp(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, 80, 24, "demo")
	s.awaits("4 of 16 up")
	s.press("\x03")
	assert.Equal(t, 130, s.code())
	assert.Contains(t, s.text(), "demo, ended early: 4 of 16 shards up so far, no violations")
	assert.Contains(t, s.text(), "gatewayqueue demo: stopped (interrupt)")
}

func TestTerminal_WatchedStatusLeavesItsLastPicture(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	queueOf(t, server, "1234", 0, 2, 4)
	s := newTerminal(t, 80, 24, "status", "--watch=100ms", "--redis", "redis://"+server.Addr)
	s.await("a whole frame", func(string) bool { return s.whole("queue 1234") })
	s.awaits("q quit  ? help  p pause  s sort: bucket  / filter")
	s.resize(60, 14)
	s.await("a whole frame after a change of size", func(string) bool { return s.whole("queue 1234") })
	s.press("q")
	assert.Zero(t, s.code())
	assert.True(t, strings.HasPrefix(s.text(), shell+"\n queue 1234"), s.text())
	assert.Contains(t, s.text(), "2 in line")
	assert.NotContains(t, s.text(), "q quit")
}

func TestTerminal_FakeDiscordShowsItsAddresses(t *testing.T) {
	t.Parallel()
	s := newTerminal(t, 80, 24, "fake-discord", "--port", "0")
	s.awaits("q quit")
	for _, label := range []string{"    REST  http://", " gateway  ws://", "   token  ", " control  http://"} {
		s.awaits(label)
	}
	s.press("q")
	assert.Zero(t, s.code())
	assert.Contains(t, s.text(), "0 violations, 0 over budget")
	assert.Contains(t, s.text(), "0 of 0 ready")
}
