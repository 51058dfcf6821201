// The way to the gateway through a proxy: CONNECT of HTTP, or SOCKS5.

package gatewayconn

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
)

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// tunnel connects to addr through proxy. Its errors leave the proxy's password
// out.
func (d Dialer) tunnel(ctx context.Context, dial dialFunc, proxy *url.URL, addr string) (net.Conn, error) {
	ports := map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}
	port, ok := ports[proxy.Scheme]
	if !ok {
		return nil, fmt.Errorf("gatewayqueue: the proxy's scheme is %q, and must be http, https, socks5 or socks5h; for others there is WithNetDial", proxy.Scheme)
	}
	if p := proxy.Port(); p != "" {
		port = p
	}
	at := net.JoinHostPort(proxy.Hostname(), port)
	failed := func(err error) error {
		return fmt.Errorf("gatewayqueue: the proxy %s://%s: %w", proxy.Scheme, at, err)
	}
	conn, err := dial(ctx, "tcp", at)
	if err != nil {
		return nil, failed(err)
	}
	// What blocks ends with ctx; what has been made does not.
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(past) }) //nolint:errcheck // It is closed, then.
	made := conn
	switch proxy.Scheme {
	case "https":
		secure := tls.Client(conn, configFor(d.proxyTLS, proxy.Hostname()))
		if err = secure.HandshakeContext(ctx); err == nil {
			made = secure
			err = connectHTTP(made, proxy.User, addr)
		}
	case "http":
		err = connectHTTP(conn, proxy.User, addr)
	default:
		err = connectSOCKS(conn, proxy.User, addr)
	}
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		_ = conn.Close()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, failed(err)
	}
	return made, nil
}

// connectHTTP asks for a tunnel to addr.
// https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
func connectHTTP(conn net.Conn, user *url.Userinfo, addr string) error {
	request := "CONNECT " + addr + " HTTP/1.1\r\nHost: " + addr + "\r\n"
	if user != nil {
		password, _ := user.Password()
		request += "Proxy-Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password)) + "\r\n"
	}
	if _, err := io.WriteString(conn, request+"\r\n"); err != nil {
		return err
	}
	// The gateway says nothing before it is asked: no byte after the answer can
	// be lost in the buffer.
	answer, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: http.MethodConnect})
	if err != nil {
		return fmt.Errorf("its answer to CONNECT: %w", err)
	}
	_ = answer.Body.Close() //nolint:errcheck // A tunnel has none.
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("it answered CONNECT %s with %s", addr, answer.Status)
	}
	return nil
}

// connectSOCKS asks for a tunnel to addr, whose name the proxy resolves.
// https://www.rfc-editor.org/rfc/rfc1928, and rfc1929 for the password.
func connectSOCKS(conn net.Conn, user *url.Userinfo, addr string) error {
	const (
		version      = 5
		withoutLogin = 0
		withPassword = 2
	)
	host, portName, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	port, err := strconv.ParseUint(portName, 10, 16)
	if err != nil || len(host) > 255 {
		return fmt.Errorf("%q is no address for SOCKS5", addr)
	}
	hello := []byte{version, 1, withoutLogin}
	if user != nil {
		hello[2] = withPassword
	}
	choice, err := exchange(conn, hello, 2)
	if err != nil {
		return err
	}
	if choice[0] != version || choice[1] != hello[2] {
		return fmt.Errorf("it does not take login method %d of SOCKS5 (it answered % x)", hello[2], choice)
	}
	if user != nil {
		password, _ := user.Password()
		if len(user.Username()) > 255 || len(password) > 255 {
			return fmt.Errorf("its user or password has more than 255 bytes")
		}
		login := append([]byte{1, byte(len(user.Username()))}, user.Username()...)
		login = append(append(login, byte(len(password))), password...)
		verdict, err := exchange(conn, login, 2)
		if err != nil {
			return err
		}
		if verdict[1] != 0 {
			return fmt.Errorf("it does not take the user and password")
		}
	}
	request := append([]byte{version, 1, 0, 3, byte(len(host))}, host...)
	answer, err := exchange(conn, binary.BigEndian.AppendUint16(request, uint16(port)), 5)
	if err != nil {
		return err
	}
	if answer[0] != version || answer[1] != 0 {
		return fmt.Errorf("it answered the request for %s with SOCKS5 code %d", addr, answer[1])
	}
	rest := map[byte]int{1: net.IPv4len, 3: int(answer[4]) + 1, 4: net.IPv6len}[answer[3]] // the address, of which one byte is read
	if rest == 0 {
		return fmt.Errorf("it answered with an address of type %d", answer[3])
	}
	_, err = exchange(conn, nil, rest-1+2)
	return err
}

// exchange sends request and reads n bytes.
func exchange(conn net.Conn, request []byte, n int) ([]byte, error) {
	if len(request) > 0 {
		if _, err := conn.Write(request); err != nil {
			return nil, err
		}
	}
	answer := make([]byte, n)
	_, err := io.ReadFull(conn, answer)
	return answer, err
}
