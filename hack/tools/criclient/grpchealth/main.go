// SPDX-License-Identifier: Apache-2.0

// Grpchealth serves the gRPC health protocol on the port that is its argument, for gRPC probes. Its
// services "ready" and "alive" serve until SIGUSR1 and SIGUSR2, in this order.
package main

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
)

func run(port string) error {
	listener, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	states := health.NewServer()
	services := map[os.Signal]string{syscall.SIGUSR1: "ready", syscall.SIGUSR2: "alive"}
	for _, service := range services {
		states.SetServingStatus(service, grpc_health_v1.HealthCheckResponse_SERVING)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for received := range signals {
			states.SetServingStatus(services[received],
				grpc_health_v1.HealthCheckResponse_NOT_SERVING)
		}
	}()
	server := grpc.NewServer()
	grpc_health_v1.RegisterHealthServer(server, states)
	return server.Serve(listener)
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: grpchealth PORT")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "grpchealth:", err)
		os.Exit(1)
	}
}
