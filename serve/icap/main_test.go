package icap

import (
	"testing"

	"github.com/showcause/showcause/serve/accept/accepttest"
	"github.com/showcause/showcause/worker/workertest"
)

// TestMain is the reader too.
func TestMain(m *testing.M) { workertest.Main(m) }

const marker = accepttest.Marker
