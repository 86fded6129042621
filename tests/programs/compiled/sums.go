// A thousand goroutines on all processors, a channel, a mutex, sleeps and a collection of garbage.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

func sum(rounds int) int {
	result := 0
	for i := 0; i < rounds; i++ {
		result = (result*31 + i) % 1000003
	}
	return result
}

func main() {
	runtime.GOMAXPROCS(8)
	sums := make(chan int)
	var mutex sync.Mutex
	var group sync.WaitGroup
	locked := 0
	for n := 0; n < 1000; n++ {
		group.Add(1)
		go func(n int) {
			defer group.Done()
			kept := make([]byte, 10000)
			time.Sleep(time.Microsecond)
			mutex.Lock()
			locked += len(kept)
			mutex.Unlock()
			sums <- sum(n * 10)
		}(n)
	}
	go func() { group.Wait(); close(sums) }()
	total := 0
	for one := range sums {
		total += one
	}
	runtime.GC()
	fmt.Println(total, locked)
	child, err := exec.Command("echo", "a child").Output()
	fmt.Print(string(child), err, "\n")
	defer func() {
		fmt.Println("recovered:", recover())
		os.Exit(3)
	}()
	var nothing *int
	*nothing = 1
}
