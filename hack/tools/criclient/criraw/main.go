// SPDX-License-Identifier: Apache-2.0

// Criraw makes CRI calls exactly as told, also those that a well-behaved client never makes.
//
// It reads one JSON object a line from standard input:
//
//	{"method": "RunPodSandbox", "request": {...}, "timeout_ms": 1000, "cancel_after_ms": 0}
//
// and answers with one line each, in the order of the requests:
//
//	{"response": {...}, "ms": 0.4} or {"code": "NotFound", "message": "...", "ms": 0.4}
//
// Methods are those of runtime.v1.RuntimeService and runtime.v1.ImageService; requests are in the
// JSON form of protocol buffers. A streaming method answers with the messages received until the
// time-out in "responses"; with "live": true it writes a line {"headers": true} when the answer
// begins and {"message": {...}} for each message as it comes, before the line of the end.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	runtime "k8s.io/cri-api/pkg/apis/runtime/v1"
)

type call struct {
	Method        string          `json:"method"`
	Request       json.RawMessage `json:"request"`
	TimeoutMs     int             `json:"timeout_ms"`
	CancelAfterMs int             `json:"cancel_after_ms"`
	Live          bool            `json:"live"`
}

// A line of a live stream.
type part struct {
	Headers bool            `json:"headers,omitempty"`
	Message json.RawMessage `json:"message,omitempty"`
}

type answer struct {
	Response  json.RawMessage   `json:"response,omitempty"`
	Responses []json.RawMessage `json:"responses,omitempty"`
	Code      string            `json:"code,omitempty"`
	Message   string            `json:"message,omitempty"`
	Ms        float64           `json:"ms"`
}

// A zero such as the state SANDBOX_READY is a value that tests look for.
var format = protojson.MarshalOptions{EmitDefaultValues: true}

func findMethod(name string) (protoreflect.MethodDescriptor, error) {
	services := runtime.File_staging_src_k8s_io_cri_api_pkg_apis_runtime_v1_api_proto.Services()
	for i := 0; i < services.Len(); i++ {
		if method := services.Get(i).Methods().ByName(protoreflect.Name(name)); method != nil {
			return method, nil
		}
	}
	return nil, fmt.Errorf("no such method: %q", name)
}

func receiveAll(ctx context.Context, connection *grpc.ClientConn, path string,
	method protoreflect.MethodDescriptor, request proto.Message,
	live *json.Encoder) ([]json.RawMessage, error) {
	description := &grpc.StreamDesc{ServerStreams: true, ClientStreams: method.IsStreamingClient()}
	stream, err := connection.NewStream(ctx, description, path)
	if err != nil {
		return nil, err
	}
	if err := stream.SendMsg(request); err != nil {
		return nil, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, err
	}
	if live != nil {
		if _, err := stream.Header(); err != nil {
			return nil, err
		}
		if err := live.Encode(part{Headers: true}); err != nil {
			return nil, err
		}
	}
	var messages []json.RawMessage
	for {
		message := dynamicpb.NewMessage(method.Output())
		err := stream.RecvMsg(message)
		if err == io.EOF {
			return messages, nil
		}
		if err != nil {
			return messages, err
		}
		text, err := format.Marshal(message)
		if err != nil {
			return messages, err
		}
		if live == nil {
			messages = append(messages, text)
		} else if err := live.Encode(part{Message: text}); err != nil {
			return nil, err
		}
	}
}

func perform(connection *grpc.ClientConn, c call, output *json.Encoder) (answer, error) {
	method, err := findMethod(c.Method)
	if err != nil {
		return answer{}, err
	}
	request := dynamicpb.NewMessage(method.Input())
	if len(c.Request) > 0 {
		if err := protojson.Unmarshal(c.Request, request); err != nil {
			return answer{}, fmt.Errorf("%s: %w", c.Method, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if c.TimeoutMs > 0 {
		ctx, cancel = context.WithTimeout(ctx, time.Duration(c.TimeoutMs)*time.Millisecond)
		defer cancel()
	}
	if c.CancelAfterMs > 0 {
		timer := time.AfterFunc(time.Duration(c.CancelAfterMs)*time.Millisecond, cancel)
		defer timer.Stop()
	}
	path := fmt.Sprintf("/%s/%s", method.Parent().FullName(), method.Name())
	result := answer{}
	start := time.Now()
	if method.IsStreamingServer() {
		if !c.Live {
			output = nil
		}
		result.Responses, err = receiveAll(ctx, connection, path, method, request, output)
	} else {
		response := dynamicpb.NewMessage(method.Output())
		err = connection.Invoke(ctx, path, request, response)
		if err == nil {
			result.Response, err = format.Marshal(response)
		}
	}
	result.Ms = float64(time.Since(start).Microseconds()) / 1000
	if err != nil {
		result.Code, result.Message = status.Code(err).String(), status.Convert(err).Message()
	}
	return result, nil
}

func run() error {
	socket := flag.String("socket", "/run/berth/berthd.sock", "path of the runtime's socket")
	flag.Parse()
	connection, err := grpc.NewClient("unix://"+*socket,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(64<<20)))
	if err != nil {
		return err
	}
	defer connection.Close()
	input := bufio.NewReader(os.Stdin)
	output := json.NewEncoder(os.Stdout)
	for {
		line, err := input.ReadString('\n')
		if strings.TrimSpace(line) != "" {
			var c call
			if err := json.Unmarshal([]byte(line), &c); err != nil {
				return fmt.Errorf("bad call %q: %w", line, err)
			}
			result, err := perform(connection, c, output)
			if err != nil {
				return err
			}
			if err := output.Encode(result); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "criraw:", err)
		os.Exit(1)
	}
}
