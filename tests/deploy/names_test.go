package deploy

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

const sysSetns = 308 // x86-64 and x32; on arm64 it is 268

// serveNames answers questions for `name` with 127.0.0.1, and all others with "no such name", on port 53 of the network of a process.
func serveNames(t testing.TB, pid int, name string) {
	t.Helper()
	socket := listenIn(t, fmt.Sprintf("/proc/%d/ns/net", pid))
	t.Cleanup(func() { _ = socket.Close() })
	go func() {
		question := make([]byte, 512)
		for {
			n, from, err := socket.ReadFrom(question)
			if err != nil {
				return
			}
			if reply := answer(question[:n], name); reply != nil {
				_, _ = socket.WriteTo(reply, from)
			}
		}
	}()
}

// listenIn opens the socket in another network. A socket stays in the network that it was opened in.
func listenIn(t testing.TB, namespace string) net.PacketConn {
	t.Helper()
	type outcome struct {
		socket net.PacketConn
		err    error
	}
	done := make(chan outcome)
	go func() {
		// Never unlocked: the thread ends with this goroutine, rather than going on in the other network.
		runtime.LockOSThread()
		socket, err := func() (net.PacketConn, error) {
			file, err := os.Open(namespace)
			if err != nil {
				return nil, err
			}
			defer func() { _ = file.Close() }()
			number := uintptr(sysSetns)
			if runtime.GOARCH == "arm64" {
				number = 268
			}
			if _, _, errno := syscall.RawSyscall(number, file.Fd(), syscall.CLONE_NEWNET, 0); errno != 0 {
				return nil, errno
			}
			return net.ListenPacket("udp4", "127.0.0.1:53")
		}()
		done <- outcome{socket, err}
	}()
	o := <-done
	must(t, o.err)
	return o.socket
}

// answer answers one question (RFC 1035, section 4).
func answer(question []byte, name string) []byte {
	const header, typeA = 12, 1
	if len(question) < header {
		return nil
	}
	var labels []string
	at := header
	for {
		if at >= len(question) {
			return nil
		}
		length := int(question[at])
		at++
		if length == 0 {
			break
		}
		if at+length > len(question) {
			return nil
		}
		labels = append(labels, string(question[at:at+length]))
		at += length
	}
	if at+4 > len(question) {
		return nil
	}
	kind := binary.BigEndian.Uint16(question[at:])
	end := at + 4
	reply := append([]byte{}, question[:2]...)
	found := strings.EqualFold(strings.Join(labels, "."), name)
	flags, answers := uint16(0x8580), uint16(0) // an authoritative answer; recursion is to be had
	if !found {
		flags |= 3 // there is no such name
	} else if kind == typeA {
		answers = 1
	}
	for _, number := range []uint16{flags, 1, answers, 0, 0} {
		reply = binary.BigEndian.AppendUint16(reply, number)
	}
	reply = append(reply, question[header:end]...)
	if answers == 1 {
		reply = append(reply, 0xc0, header)               // the name of the question
		reply = append(reply, 0, typeA, 0, 1, 0, 0, 0, 0) // not to be kept
		reply = append(reply, 0, 4, 127, 0, 0, 1)
	}
	return reply
}
