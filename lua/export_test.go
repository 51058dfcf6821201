package lua

// Files are the scripts, and what they include, as they were written.
var Files = files

// Problems are why the script's head cannot be read.
func (s *Script) Problems() []string { return s.problems }

// Parse reads a head.
func Parse(head string) *Script {
	s := &Script{Name: "test"}
	s.parse(head)
	return s
}
