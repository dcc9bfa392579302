// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/transport/spdy"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// streams measures what goes through exec and port-forward, with kubectl's own client code.
type streams struct {
	pods  map[*target]*pod
	floor *floor
	size  int64
}

const forwardPort = 8080

func newStreams(ctx context.Context, all targets, image, logs string, size int64) (*streams, error) {
	bare, err := newFloor(ctx)
	if err != nil {
		return nil, err
	}
	s := &streams{map[*target]*pod{bare.target: {}}, bare, size}
	serve := fmt.Sprintf("while true; do nc -l -p %d -e head -c %d /dev/zero; done", forwardPort, size)
	for _, t := range all {
		p, err := t.start(ctx, 200000, image, logs, "sh", "-c", serve)
		if err != nil {
			return nil, err
		}
		s.pods[t] = p
	}
	return s, nil
}

func (s *streams) end(ctx context.Context) {
	s.floor.end()
	delete(s.pods, s.floor.target)
	for t, p := range s.pods {
		_ = t.end(ctx, p)
	}
}

// sink counts, and notes when the first byte came.
type sink struct {
	first time.Time
	count int64
}

func (s *sink) Write(data []byte) (int, error) {
	if s.count == 0 && len(data) > 0 {
		s.first = time.Now()
	}
	s.count += int64(len(data))
	return len(data), nil
}

type zeros struct{}

func (zeros) Read(data []byte) (int, error) {
	clear(data)
	return len(data), nil
}

// exec asks for a stream and follows it to its end. It gives the times to the first byte and to the
// end, in milliseconds.
func (s *streams) exec(t *target, in io.Reader, out *sink, command ...string) (float64, float64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	start := time.Now()
	answer, err := t.runtime.Exec(ctx, &cri.ExecRequest{ContainerId: s.pods[t].container,
		Cmd: command, Stdin: in != nil, Stdout: true})
	if err != nil {
		return 0, 0, err
	}
	address, err := url.Parse(answer.Url)
	if err != nil {
		return 0, 0, err
	}
	executor, err := remotecommand.NewSPDYExecutor(&rest.Config{}, "POST", address)
	if err != nil {
		return 0, 0, err
	}
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdin: in, Stdout: out})
	if err != nil {
		return 0, 0, fmt.Errorf("%s: exec %s: %w", t.name, strings.Join(command, " "), err)
	}
	return milliseconds(out.first.Sub(start)), milliseconds(time.Since(start)), nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// rate is in MiB a second.
func (s *streams) rate(ms float64) float64 { return float64(s.size) / (1 << 20) / ms * 1000 }

func (s *streams) forward(t *target) (float64, error) {
	answer, err := t.runtime.PortForward(context.Background(), &cri.PortForwardRequest{
		PodSandboxId: s.pods[t].id, Port: []int32{forwardPort}})
	if err != nil {
		return 0, err
	}
	address, err := url.Parse(answer.Url)
	if err != nil {
		return 0, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(&rest.Config{})
	if err != nil {
		return 0, err
	}
	dialer := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, "POST", address)
	stop, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"},
		[]string{fmt.Sprintf("0:%d", forwardPort)}, stop, ready, io.Discard, io.Discard)
	if err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-ended:
		return 0, fmt.Errorf("%s: port-forward: %w", t.name, err)
	}
	defer func() {
		close(stop)
		<-ended
	}()
	ports, err := forwarder.GetPorts()
	if err != nil {
		return 0, err
	}
	start := time.Now()
	connection, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", ports[0].Local))
	if err != nil {
		return 0, err
	}
	defer connection.Close()
	out := &sink{}
	if _, err := io.CopyBuffer(out, struct{ io.Reader }{connection}, make([]byte, 64<<10)); err != nil {
		return 0, err
	}
	if out.count != s.size {
		return 0, fmt.Errorf("%s: port-forward: %d of %d bytes", t.name, out.count, s.size)
	}
	return milliseconds(time.Since(start)), nil
}

// Of short execs there are so many for each transfer, and each begins when what came before it has
// ended, also in the runtimes.
const (
	shortExecs = 5
	settled    = 30 * time.Millisecond
)

func (s *streams) short(t *target) error {
	time.Sleep(settled)
	first, whole, err := s.exec(t, nil, &sink{}, "echo", "x")
	if err != nil {
		return err
	}
	time.Sleep(settled)
	bare, _, err := s.exec(s.floor.target, nil, &sink{}, "echo", "x")
	if err != nil {
		return err
	}
	t.note("exec: first byte (ms)", first)
	t.note("exec: the client's part (ms)", bare)
	t.note("exec: the rest (ms)", first-bare)
	t.note("exec: whole (ms)", whole)
	return nil
}

func (s *streams) round(_ int, t *target) error {
	for i := 0; i < shortExecs; i++ {
		if err := s.short(t); err != nil {
			return err
		}
	}
	out := &sink{}
	_, ms, err := s.exec(t, nil, out, "head", "-c", fmt.Sprint(s.size), "/dev/zero")
	if err != nil {
		return err
	}
	if out.count != s.size {
		return fmt.Errorf("%s: exec: %d of %d bytes", t.name, out.count, s.size)
	}
	t.note("exec: output (MiB/s)", s.rate(ms))
	_, ms, err = s.exec(t, io.LimitReader(zeros{}, s.size), &sink{}, "wc", "-c")
	if err != nil {
		return err
	}
	t.note("exec: input (MiB/s)", s.rate(ms))
	ms, err = s.forward(t)
	if err != nil {
		return err
	}
	t.note("port-forward (MiB/s)", s.rate(ms))
	return nil
}

func (t *target) note(name string, value float64) { t.times[name] = append(t.times[name], value) }
