package broker

import "github.com/lightstreamer-go/lightstreamer/adaptersxml"

// dataBound is the bound on the requests pending at a remote Data Adapter: the size of the pool that serves it, 0 for none.
func dataBound(x *adaptersxml.Set, p *adaptersxml.Provider) int {
	if p.DataPool != nil {
		return p.DataPool.MaxSize
	}
	return setBound(x)
}

// setBound is that of the set's own pool.
func setBound(x *adaptersxml.Set) int {
	if x.Pool == nil {
		return 0
	}
	return x.Pool.MaxSize
}

// tablesBound is the bound on the requests about subscriptions that are pending at a remote Metadata Adapter. They are served by the
// pools of the Data Adapters concerned. The metadata proxy is not told which adapter a question is about, so what holds for it is
// what all these pools let through together; 0 if one of them has no bound.
func tablesBound(x *adaptersxml.Set) int {
	sum, shared := 0, false
	for i := range x.Data {
		p := &x.Data[i]
		switch {
		case p.DataPool != nil:
			sum += p.DataPool.MaxSize
		case x.Pool == nil:
			return 0
		case !shared:
			shared = true
			sum += x.Pool.MaxSize
		}
	}
	return sum
}
