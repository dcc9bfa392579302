// SPDX-License-Identifier: Apache-2.0

// Critimes stands between a CRI client and its runtime and takes the time of each call, from the
// request's arrival to the runtime's last word.
//
//	critimes -to SOCKET -out FILE -- COMMAND...
//
// COMMAND finds the place to call in CONTAINER_RUNTIME_ENDPOINT and IMAGE_SERVICE_ENDPOINT. When it
// has ended FILE holds {"RunPodSandbox": {"calls": 3, "failed": 0, "ms": 12.5}, ...}; calls that
// stream are passed on and left out. The exit code is the command's.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const maxMessage = 64 << 20

// Messages are passed on as they are.
type frame struct{ data []byte }

type rawCodec struct{}

func (rawCodec) Name() string                       { return "proto" }
func (rawCodec) Marshal(v any) ([]byte, error)      { return v.(*frame).data, nil }
func (rawCodec) Unmarshal(data []byte, v any) error { v.(*frame).data = data; return nil }

type total struct {
	Calls  int     `json:"calls"`
	Failed int     `json:"failed"`
	Ms     float64 `json:"ms"`
}

type proxy struct {
	runtime *grpc.ClientConn
	mutex   sync.Mutex
	totals  map[string]*total
}

func (p *proxy) note(method string, took time.Duration, err error) {
	name := path.Base(method)
	if strings.HasPrefix(name, "Stream") || name == "GetContainerEvents" {
		return
	}
	p.mutex.Lock()
	defer p.mutex.Unlock()
	sum := p.totals[name]
	if sum == nil {
		sum = &total{}
		p.totals[name] = sum
	}
	sum.Calls++
	sum.Ms += float64(took.Nanoseconds()) / 1e6
	if err != nil {
		sum.Failed++
	}
}

// What the client sends goes to the runtime until it ends its side.
func passRequests(from grpc.ServerStream, to grpc.ClientStream) {
	for {
		var message frame
		if from.RecvMsg(&message) != nil || to.SendMsg(&message) != nil {
			_ = to.CloseSend()
			return
		}
	}
}

func (p *proxy) handle(_ any, client grpc.ServerStream) error {
	start := time.Now()
	method, ok := grpc.MethodFromServerStream(client)
	if !ok {
		return status.Error(codes.Internal, "no method")
	}
	ctx, cancel := context.WithCancel(client.Context())
	defer cancel()
	if received, ok := metadata.FromIncomingContext(ctx); ok {
		ctx = metadata.NewOutgoingContext(ctx, received)
	}
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	runtime, err := p.runtime.NewStream(ctx, description, method)
	if err != nil {
		return err
	}
	go passRequests(client, runtime)
	for {
		var message frame
		err = runtime.RecvMsg(&message)
		if err == nil {
			err = client.SendMsg(&message)
		}
		if err != nil {
			break
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	p.note(method, time.Since(start), err)
	client.SetTrailer(runtime.Trailer())
	return err
}

func run(to, out string, command []string) (int, error) {
	connection, err := grpc.NewClient("unix://"+to,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(rawCodec{}),
			grpc.MaxCallRecvMsgSize(maxMessage), grpc.MaxCallSendMsgSize(maxMessage)))
	if err != nil {
		return 1, err
	}
	directory, err := os.MkdirTemp("", "critimes")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(directory)
	socket := filepath.Join(directory, "cri.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return 1, err
	}
	p := &proxy{runtime: connection, totals: map[string]*total{}}
	server := grpc.NewServer(grpc.ForceServerCodec(rawCodec{}), grpc.UnknownServiceHandler(p.handle),
		grpc.MaxRecvMsgSize(maxMessage), grpc.MaxSendMsgSize(maxMessage))
	go func() { _ = server.Serve(listener) }()

	child := exec.Command(command[0], command[1:]...)
	child.Stdin, child.Stdout, child.Stderr = os.Stdin, os.Stdout, os.Stderr
	child.Env = append(os.Environ(), "CONTAINER_RUNTIME_ENDPOINT=unix://"+socket,
		"IMAGE_SERVICE_ENDPOINT=unix://"+socket)
	code := 0
	if err = child.Run(); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) || ended.ExitCode() < 0 {
			return 1, err
		}
		code = ended.ExitCode()
	}
	server.Stop()
	p.mutex.Lock()
	defer p.mutex.Unlock()
	text, err := json.Marshal(p.totals)
	if err == nil {
		err = os.WriteFile(out, text, 0o644)
	}
	return code, err
}

func main() {
	to := flag.String("to", "", "the runtime's socket")
	out := flag.String("out", "", "where the times go")
	flag.Parse()
	if *to == "" || *out == "" || flag.NArg() == 0 {
		fmt.Fprintln(os.Stderr, "usage: critimes -to SOCKET -out FILE -- COMMAND...")
		os.Exit(2)
	}
	code, err := run(*to, *out, flag.Args())
	if err != nil {
		fmt.Fprintln(os.Stderr, "critimes:", err)
		if code == 0 {
			code = 1
		}
	}
	os.Exit(code)
}
