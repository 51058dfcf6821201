// A picture that moves, in a terminal.

package picture

import (
	"io"
	"os"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"

	"github.com/gatewayqueue/gatewayqueue/cmd/gatewayqueue/printable"
)

// frameEvery is how often a live picture is drawn again. Only what changed is
// sent to the terminal.
const frameEvery = 100 * time.Millisecond

// Live is a picture that is drawn ten times a second, on the terminal's alternate
// screen: a terminal that is resized wraps the lines of its normal one again, and
// remains of old frames would stand there.
type Live struct {
	program *tea.Program
	model   *live
	out     io.Writer
}

// IsTerminal reports whether w is a terminal on which a picture can move, and this
// program the one that its user looks at: another is stopped as it draws.
func IsTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(file.Fd()) && os.Getenv("TERM") != "dumb" && inForeground(file.Fd())
}

// NewLive makes a live picture of what look returns. end is called when the user
// asks to end, with q (enough is true) or Ctrl-C.
func NewLive(out io.Writer, look func() Screen, end func(enough bool)) *Live {
	options := []tea.ProgramOption{tea.WithOutput(out), tea.WithoutSignalHandler()}
	model := &live{look: look, end: end}
	if !term.IsTerminal(os.Stdin.Fd()) {
		model.view.Mute = true
		options = append(options, tea.WithInput(nil))
	}
	return &Live{tea.NewProgram(model, options...), model, out}
}

// Show sets what is shown at first, as if the user had chosen it. It is for before Run.
func (l *Live) Show(v View) {
	v.Mute = l.model.view.Mute
	l.model.view = v
}

// Run draws until Stop is called, and leaves the terminal as it was.
func (l *Live) Run() error {
	_, err := l.program.Run()
	return err
}

// Stop ends Run. It does nothing before Run.
func (l *Live) Stop() { l.program.Quit() }

// View is what the user has chosen last. Ask for it once Run has returned.
func (l *Live) View() View { return l.model.view }

// Leave prints a picture that stays, below what was on the terminal before, as
// high as the terminal at most, less the lines that are to follow. It is for after
// Run.
func (l *Live) Leave(s Screen, v View, follow int) error {
	width, height := Size(l.out)
	v.Final, v.Help, v.Typing = true, false, false
	lines, _ := Draw(s, v, width, max(1, height-1-follow)) // the prompt has a line
	_, err := Fprintln(l.out, strings.Join(lines, "\n"))
	return err
}

// live is Bubble Tea's model of it.
type live struct {
	look          func() Screen
	end           func(enough bool)
	view          View
	screen        Screen // what was shown last
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
		sorts := 0
		if m.screen.Table != nil {
			sorts = len(m.screen.Table.Sorts)
		}
		var act Act
		switch m.view, act = m.view.Key(msg.String(), msg.Text, sorts); act {
		case Quit, Interrupt:
			m.end(act == Quit)
		case Suspend:
			return m, tea.Suspend
		}
	case frame:
		return m, next()
	}
	return m, nil
}

func (m *live) View() tea.View {
	if m.width == 0 || m.height == 0 { // not yet told
		return tea.View{AltScreen: true}
	}
	if !m.view.Paused || m.screen.Title == nil {
		m.screen = m.look()
	}
	var lines []string
	lines, m.view = Draw(m.screen, m.view, m.width, m.height)
	for i, line := range lines {
		lines[i] = clip(printable.Styled(line), m.width)
	}
	view := tea.NewView(strings.Join(lines, "\n"))
	view.AltScreen = true
	return view
}

// Size is how many columns and lines out has: 80 and 24 if it is a terminal that
// does not say, 0 and 0 (no limit) if it is no terminal.
func Size(out io.Writer) (width, height int) {
	file, ok := out.(*os.File)
	if !ok || !term.IsTerminal(file.Fd()) {
		return 0, 0
	}
	if width, height, err := term.GetSize(file.Fd()); err == nil && width > 0 && height > 0 {
		return width, height
	}
	return 80, 24
}
