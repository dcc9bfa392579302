// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"math/rand"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// brief is a context that ends at a random moment, soon as a rule.
func brief(random *rand.Rand) (context.Context, context.CancelFunc) {
	limit := time.Duration(random.ExpFloat64() * float64(4*time.Millisecond))
	if random.Intn(4) == 0 {
		limit = 20 * time.Second
	}
	ctx, cancel := context.WithCancel(context.Background())
	timer := time.AfterFunc(limit, cancel)
	return ctx, func() { timer.Stop(); cancel() }
}

// fits tells whether a call on things that may or may not exist may end so.
func fits(err error) bool {
	switch status.Code(err) {
	case codes.OK, codes.Canceled, codes.NotFound, codes.FailedPrecondition, codes.AlreadyExists,
		codes.DeadlineExceeded, codes.ResourceExhausted, codes.Unavailable, codes.Aborted:
		return true
	}
	return false
}

// cancelled leads one pod through its life, every call cut short or not.
func (s *storm) cancelled(random *rand.Rand) error {
	config := &cri.PodSandboxConfig{}
	if err := protojson.Unmarshal([]byte(s.pod), config); err != nil {
		return err
	}
	config.Metadata = &cri.PodSandboxMetadata{Name: fmt.Sprintf("storm%d", random.Int63()),
		Uid: fmt.Sprint(random.Int63()), Namespace: "storm"}
	var failure error
	try := func(name string, call func(context.Context) error) error {
		ctx, cancel := brief(random)
		defer cancel()
		err := call(ctx)
		s.count(name + " " + status.Code(err).String())
		if !fits(err) && failure == nil {
			failure = fmt.Errorf("%s: %w", name, err)
		}
		return err
	}
	var pod, container string
	try("RunPodSandbox", func(ctx context.Context) error {
		answer, err := s.runtime.RunPodSandbox(ctx, &cri.RunPodSandboxRequest{Config: config})
		pod = answer.GetPodSandboxId()
		return err
	})
	if pod == "" {
		// It may be there all the same: found by what a client knows of it.
		pod = s.find(config)
	}
	if pod == "" {
		return failure
	}
	try("CreateContainer", func(ctx context.Context) error {
		answer, err := s.runtime.CreateContainer(ctx, &cri.CreateContainerRequest{PodSandboxId: pod,
			SandboxConfig: config, Config: &cri.ContainerConfig{
				Metadata: &cri.ContainerMetadata{Name: "c"}, Image: &cri.ImageSpec{Image: s.image},
				Command: []string{"sleep", "1000"}, LogPath: "c.log",
				Linux: &cri.LinuxContainerConfig{}}})
		container = answer.GetContainerId()
		return err
	})
	if container != "" {
		s.use(try, pod, container)
	}
	try("StopPodSandbox", func(ctx context.Context) error {
		_, err := s.runtime.StopPodSandbox(ctx, &cri.StopPodSandboxRequest{PodSandboxId: pod})
		return err
	})
	try("RemovePodSandbox", func(ctx context.Context) error {
		_, err := s.runtime.RemovePodSandbox(ctx, &cri.RemovePodSandboxRequest{PodSandboxId: pod})
		return err
	})
	return failure
}

func (s *storm) find(config *cri.PodSandboxConfig) string {
	answer, err := s.runtime.ListPodSandbox(context.Background(), &cri.ListPodSandboxRequest{})
	if err != nil {
		return ""
	}
	for _, pod := range answer.Items {
		if pod.Metadata.Name == config.Metadata.Name {
			return pod.Id
		}
	}
	return ""
}

// use makes the calls on a container that runs, or does not.
func (s *storm) use(try func(string, func(context.Context) error) error, pod, container string) {
	try("StartContainer", func(ctx context.Context) error {
		_, err := s.runtime.StartContainer(ctx, &cri.StartContainerRequest{ContainerId: container})
		return err
	})
	try("ExecSync", func(ctx context.Context) error {
		_, err := s.runtime.ExecSync(ctx, &cri.ExecSyncRequest{ContainerId: container,
			Cmd: []string{"sleep", "0.01"}})
		return err
	})
	try("Exec", func(ctx context.Context) error {
		answer, err := s.runtime.Exec(ctx, &cri.ExecRequest{ContainerId: container,
			Cmd: []string{"sleep", "1"}, Stdout: true})
		if err == nil {
			_ = follow(ctx, answer.Url, nil, &nothing{})
		}
		return err
	})
	try("UpdateContainerResources", func(ctx context.Context) error {
		_, err := s.runtime.UpdateContainerResources(ctx, &cri.UpdateContainerResourcesRequest{
			ContainerId: container, Linux: &cri.LinuxContainerResources{CpuShares: 512}})
		return err
	})
	try("ReopenContainerLog", func(ctx context.Context) error {
		_, err := s.runtime.ReopenContainerLog(ctx, &cri.ReopenContainerLogRequest{ContainerId: container})
		return err
	})
	try("ContainerStatus", func(ctx context.Context) error {
		_, err := s.runtime.ContainerStatus(ctx, &cri.ContainerStatusRequest{ContainerId: container})
		return err
	})
	try("PodSandboxStatus", func(ctx context.Context) error {
		_, err := s.runtime.PodSandboxStatus(ctx, &cri.PodSandboxStatusRequest{PodSandboxId: pod})
		return err
	})
	try("ListContainers", func(ctx context.Context) error {
		_, err := s.runtime.ListContainers(ctx, &cri.ListContainersRequest{})
		return err
	})
	try("StopContainer", func(ctx context.Context) error {
		_, err := s.runtime.StopContainer(ctx, &cri.StopContainerRequest{ContainerId: container})
		return err
	})
	try("RemoveContainer", func(ctx context.Context) error {
		_, err := s.runtime.RemoveContainer(ctx, &cri.RemoveContainerRequest{ContainerId: container})
		return err
	})
	try("PullImage", func(ctx context.Context) error {
		_, err := s.images.PullImage(ctx, &cri.PullImageRequest{Image: &cri.ImageSpec{Image: s.image}})
		return err
	})
}

type nothing struct{}

func (*nothing) Write(data []byte) (int, error) { return len(data), nil }
