package broker

import (
	"testing"
)

func TestStartAndClose(t *testing.T) {
	r, err := Start(t.Context(), Config{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(r.URL())
	r.Close()
	if err := r.Err(); err != nil {
		t.Error(err)
	}
}
