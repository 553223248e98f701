package example

import (
	"fmt"
	"testing"
)

var sink []byte

func BenchmarkAppend(b *testing.B) {
	for _, n := range []int{8, 8, 64} {
		b.Run(fmt.Sprintf("n=%d/kind=a b", n), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(n))
			for i := 0; i < b.N; i++ {
				sink = append([]byte(nil), make([]byte, n)...)
			}
			b.ReportMetric(2.5, "widgets/op")
		})
	}
}

func BenchmarkPlain(b *testing.B) {
	for i := 0; i < b.N; i++ {
		sink = make([]byte, 16)
	}
}
