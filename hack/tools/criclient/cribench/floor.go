// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// The floor is a process that answers as a runtime would that has nothing to do: an exec's first
// byte is there as soon as the client has opened its streams, and a list is the bytes of somebody's
// answer from memory. What it takes is the part of the clients and of their connections.

const (
	floorKeep   = "/floor/Keep"
	floorMethod = "method"
)

// asBytes leaves messages as they are on the wire.
type asBytes struct{}

func (asBytes) Name() string                     { return "proto" }
func (asBytes) Marshal(from any) ([]byte, error) { return *from.(*[]byte), nil }
func (asBytes) Unmarshal(data []byte, to any) error {
	*to.(*[]byte) = append([]byte(nil), data...)
	return nil
}

// floorAnswers are its answers by method. Calls come one after the other.
type floorAnswers map[string][]byte

func (f floorAnswers) serve(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	var request []byte
	if err := stream.RecvMsg(&request); err != nil {
		return err
	}
	if method == floorKeep {
		about, _ := metadata.FromIncomingContext(stream.Context())
		f[about.Get(floorMethod)[0]] = request
		request = nil
		return stream.SendMsg(&request)
	}
	answer := f[method]
	return stream.SendMsg(&answer)
}

// execAtOnce is the streaming server's side of an exec whose process has written before it began.
func execAtOnce(w http.ResponseWriter, r *http.Request) {
	if _, err := httpstream.Handshake(r, w, []string{"v4.channel.k8s.io"}); err != nil {
		return
	}
	streams := make(chan httpstream.Stream, 8)
	connection := spdy.NewResponseUpgrader().UpgradeResponse(w, r,
		func(stream httpstream.Stream, _ <-chan struct{}) error {
			streams <- stream
			return nil
		})
	if connection == nil {
		return
	}
	defer connection.Close()
	byType := map[string]httpstream.Stream{}
	for byType["stdout"] == nil || byType["error"] == nil {
		stream := <-streams
		byType[stream.Headers().Get("streamType")] = stream
	}
	for name, text := range map[string]string{"stdout": "x\n",
		"error": `{"metadata":{},"status":"Success"}`} {
		_, _ = io.WriteString(byType[name], text)
		_ = byType[name].Close()
	}
	<-connection.CloseChan()
}

func serveFloor(socket string) error {
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	streaming, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = http.Serve(streaming, http.HandlerFunc(execAtOnce)) }()
	url, err := proto.Marshal(&cri.ExecResponse{Url: "http://" + streaming.Addr().String() + "/"})
	if err != nil {
		return err
	}
	answers := floorAnswers{cri.RuntimeService_Exec_FullMethodName: url}
	return grpc.NewServer(grpc.ForceServerCodec(asBytes{}),
		grpc.UnknownServiceHandler(answers.serve)).Serve(listener)
}

// floor is the process, with its client.
type floor struct {
	*target
	process *exec.Cmd
	dir     string
}

func newFloor(ctx context.Context) (*floor, error) {
	dir, err := os.MkdirTemp("", "cribench")
	if err != nil {
		return nil, err
	}
	f := &floor{dir: dir}
	socket := filepath.Join(dir, "s")
	f.process = exec.CommandContext(ctx, os.Args[0], "-floor", socket)
	f.process.Stderr = os.Stderr
	if err := f.process.Start(); err != nil {
		return nil, err
	}
	var all targets
	if err := all.Set("floor=" + socket); err != nil {
		return nil, err
	}
	f.target = all[0]
	for {
		if _, err = os.Stat(socket); err == nil {
			return f, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("the floor did not start: %w", ctx.Err())
		case <-time.After(10 * time.Millisecond):
		}
	}
}

func (f *floor) end() {
	_ = f.process.Process.Kill()
	_ = f.process.Wait()
	_ = os.RemoveAll(f.dir)
}

// keep has it answer a method as t does now.
func (f *floor) keep(ctx context.Context, t *target, method string) error {
	var nothing, answer []byte
	if err := t.client.Invoke(ctx, method, &nothing, &answer, grpc.ForceCodec(asBytes{})); err != nil {
		return fmt.Errorf("%s: %s: %w", t.name, method, err)
	}
	about := metadata.AppendToOutgoingContext(ctx, floorMethod, method)
	return f.client.Invoke(about, floorKeep, &answer, &nothing, grpc.ForceCodec(asBytes{}))
}
