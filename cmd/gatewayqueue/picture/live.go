// A picture that moves, in a terminal.

package picture

import (
	"io"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"
)

// frameEvery is how often a live picture is drawn anew. Only what changed is
// sent to the terminal.
const frameEvery = 100 * time.Millisecond

// Live is a picture that is drawn anew ten times a second.
type Live struct {
	program *tea.Program
	out     io.Writer
}

// Where a live picture is.
const (
	Below         = false // what was printed before; its last frame stays
	WholeTerminal = true  // it gives way to what was there before
)

// IsTerminal reports whether w is a terminal on which a picture can move, and this
// program the one that its user looks at: another is stopped as it draws.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(file.Fd()) && os.Getenv("TERM") != "dumb" && inForeground(file.Fd())
}

// NewLive makes a live picture, Below or on the WholeTerminal. draw is called for each frame with the size of
// the terminal; interrupt when the user asks to end, with q (enough is true) or Ctrl-C.
func NewLive(out io.Writer, whole bool, draw func(width, height int) []string, interrupt func(enough bool)) *Live {
	options := []tea.ProgramOption{tea.WithOutput(out), tea.WithoutSignalHandler()}
	if !term.IsTerminal(os.Stdin.Fd()) {
		options = append(options, tea.WithInput(nil))
	}
	return &Live{tea.NewProgram(&live{whole: whole, draw: draw, interrupt: interrupt}, options...), out}
}

// Run draws until Stop is called, and leaves the terminal as it was.
func (l *Live) Run() error {
	_, err := l.program.Run()
	return err
}

// Stop draws a last frame and ends Run.
func (l *Live) Stop() { l.program.Quit() }

// Println prints a line above the picture, where it stays. What is wider than the
// terminal is cut off: a second line would move the picture.
func (l *Live) Println(line string) { l.program.Println(clip(line, Width(l.out))) }

// live is Bubble Tea's model of it.
type live struct {
	whole         bool
	draw          func(width, height int) []string
	interrupt     func(enough bool)
	width, height int
}

type frame struct{}

func next() tea.Cmd { return tea.Tick(frameEvery, func(time.Time) tea.Msg { return frame{} }) }

func (*live) Init() tea.Cmd { return next() }

func (m *live) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		if key := msg.String(); key == "ctrl+c" || key == "q" {
			m.interrupt(key == "q")
		}
	case frame:
		return m, next()
	}
	return m, nil
}

func (m *live) View() tea.View {
	if m.width == 0 { // not yet told
		return tea.View{AltScreen: m.whole}
	}
	// A picture as high as the terminal would scroll at its last line. The
	// empty one at the end is where printing goes on after it.
	room := max(0, m.height-2)
	lines := m.draw(m.width, room)
	lines = append(lines[:min(len(lines), room)], "")
	for i, line := range lines {
		lines[i] = clip(line, m.width)
	}
	view := tea.NewView(strings.Join(lines, "\n"))
	view.AltScreen = m.whole
	return view
}

// Width is how many columns out has, or 100 where it is no terminal.
func Width(out io.Writer) int {
	if file, ok := out.(*os.File); ok {
		if width, _, err := term.GetSize(file.Fd()); err == nil && width > 0 {
			return width
		}
	}
	return 100
}
