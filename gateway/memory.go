package gateway

import "runtime"

// Memory is what the process uses, in octets.
type Memory struct {
	LiveHeap uint64 `json:"live_heap"` // reachable objects, right after a collection
	Stacks   uint64 `json:"stacks"`    // of goroutines
	System   uint64 `json:"system"`    // everything had from the operating system
}

// measureMemory collects garbage twice, because finalizers free in the first
// round what the second one then finds.
func measureMemory() Memory {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return Memory{LiveHeap: m.HeapAlloc, Stacks: m.StackInuse, System: m.Sys}
}
