package broker

import "sync/atomic"

// counters are what the front has refused or cut. See FrontStats for what each means.
type counters struct {
	open            atomic.Int64
	refusedAddress  atomic.Int64
	refusedRate     atomic.Int64
	refusedLimit    atomic.Int64
	refusedFiles    atomic.Int64
	acceptFailures  atomic.Int64
	requestTimeouts atomic.Int64
	writeTimeouts   atomic.Int64
	requestMemory   atomic.Int64
	requestAddress  atomic.Int64
	requestBody     atomic.Int64
	requestsGivenUp atomic.Int64
	origins         atomic.Int64
	hosts           atomic.Int64
	sockets         atomic.Int64
}

func (n *counters) stats() FrontStats {
	return FrontStats{
		Open: n.open.Load(), RefusedByAddress: n.refusedAddress.Load(), RefusedByRate: n.refusedRate.Load(),
		RefusedByLimit: n.refusedLimit.Load(), RefusedByDescriptors: n.refusedFiles.Load(),
		AcceptFailures: n.acceptFailures.Load(), RequestTimeouts: n.requestTimeouts.Load(),
		WriteTimeouts: n.writeTimeouts.Load(), RequestsByMemory: n.requestMemory.Load(),
		RequestsByAddress: n.requestAddress.Load(), RequestsByBody: n.requestBody.Load(), RequestsGivenUp: n.requestsGivenUp.Load(),
		Origins: n.origins.Load(), Hosts: n.hosts.Load(), Sockets: n.sockets.Load(),
	}
}
