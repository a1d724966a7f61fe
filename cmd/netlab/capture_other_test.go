//go:build !linux

package main

// inNamespace is set where tests run in a network namespace, which only Linux has.
const inNamespace = "NETLAB_TEST_NAMESPACE"

func loopbackUp() error { return nil }
