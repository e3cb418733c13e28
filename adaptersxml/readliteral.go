package adaptersxml

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"strings"
)

var literalParams = []string{
	"allowed_users", "max_bandwidth", "max_frequency", "buffer_size", "prefilter_frequency", "distinct_snapshot_length",
}

const (
	familyPrefix      = "item_family_"
	familyModesPrefix = "modes_for_item_family_"
	familyDataPrefix  = "data_adapter_for_item_family_"
)

// literal reads the parameters of LiteralBasedProvider.
func (r *reader) literal(p *Provider) *LiteralSettings {
	rp := &params{r, p, map[string]bool{}}
	rp.unknownParams(func(name string) bool {
		return slices.Contains(literalParams, name) || strings.HasPrefix(name, familyPrefix) ||
			strings.HasPrefix(name, familyModesPrefix) || strings.HasPrefix(name, familyDataPrefix)
	}, append([]string{familyPrefix + "1", familyModesPrefix + "1", familyDataPrefix + "1"}, literalParams...))
	s := &LiteralSettings{
		MaxBandwidth:           rp.number("max_bandwidth"),
		MaxFrequency:           rp.number("max_frequency"),
		BufferSize:             rp.integer("buffer_size", 0, 0, math.MaxInt32),
		PrefilterFrequency:     rp.number("prefilter_frequency"),
		DistinctSnapshotLength: rp.integer("distinct_snapshot_length", 10, 0, math.MaxInt32),
	}
	if users, ok := rp.get("allowed_users"); ok {
		s.AllowedUsers = strings.Split(users.Value, ",")
	}
	list, suffixes := rp.family(familyPrefix)
	for i, f := range list {
		if family, ok := rp.itemFamily(f, suffixes[i]); ok {
			s.Families = append(s.Families, family)
		}
	}
	for _, prefix := range []string{familyModesPrefix, familyDataPrefix} {
		list, suffixes := rp.family(prefix)
		for i, f := range list {
			if !rp.has(familyPrefix + suffixes[i]) {
				r.warnf(f.Pos, "parameter %s has no effect without %s", quote(f.Name), quote(familyPrefix+suffixes[i]))
			}
		}
	}
	slices.SortFunc(s.Families, func(a, b ItemFamily) int { return cmp.Compare(a.N, b.N) })
	return s
}

func (r *params) itemFamily(f Param, suffix string) (ItemFamily, bool) {
	n, err := strconv.Atoi(suffix)
	if err != nil || n <= 0 || strconv.Itoa(n) != suffix {
		r.errorf(f.Pos, "parameter %s has to end in a positive number", quote(f.Name))
		return ItemFamily{}, false
	}
	family := ItemFamily{N: n, DataAdapter: r.text(familyDataPrefix + suffix)}
	family.Pattern = r.pattern(f, func(s string) string { return `^(?:` + s + `)$` })
	modes, ok := r.get(familyModesPrefix + suffix)
	if !ok {
		r.errorf(f.Pos, "parameter %s needs %s", quote(f.Name), quote(familyModesPrefix+suffix))
		return family, false
	}
	for _, mode := range strings.FieldsFunc(modes.Value, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' || c == '\n' || c == '\r' }) {
		if mode = r.parseChoice(modes.Pos, "a mode of "+quote(modes.Name), mode, "", "RAW", "MERGE", "DISTINCT", "COMMAND"); mode != "" && !slices.Contains(family.Modes, mode) {
			family.Modes = append(family.Modes, mode)
		}
	}
	return family, family.Pattern != nil
}
