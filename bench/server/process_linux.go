package server

// What only Linux does for us: a child that dies with its parent, however that
// ends.

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

type order struct {
	cmd *exec.Cmd
	err chan error
}

// spawner starts all children from one thread that never ends: the death signal
// comes when the thread that forked ends, not the process.
var spawner = sync.OnceValue(func() chan<- order {
	orders := make(chan order)
	go func() {
		runtime.LockOSThread()
		for o := range orders {
			o.err <- o.cmd.Start()
		}
	}()
	return orders
})

func spawn(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	o := order{cmd, make(chan error)}
	spawner() <- o
	return <-o.err
}
