package feed

import "time"

// company is where a stock starts: an invented name, a typical price in cents, and the mean time between two changes.
type company struct {
	name  string
	price Cents
	pace  time.Duration
}

// The companies of item1, item2, and so on. Six are fast, twelve of medium pace, twelve slow: about thirty changes a second
// in all, which shows what streaming is about and still lets an eye follow a row.
var companies = [...]company{
	{"Aldermoor Robotics", 4312, 280 * time.Millisecond},
	{"Brisa do Sul Energia", 1874, 900 * time.Millisecond},
	{"Caravelle Shipping", 7420, 4 * time.Second},
	{"Datsura Instruments", 15230, 350 * time.Millisecond},
	{"Eikhaug Marine", 2655, 1500 * time.Millisecond},
	{"Fennwick & Sons", 945, 7 * time.Second},
	{"Galdros Ceramics", 3108, 1200 * time.Millisecond},
	{"Hanamichi Optics", 20875, 300 * time.Millisecond},
	{"Isarbrück Motoren", 8890, 5 * time.Second},
	{"Jökulhorn Hydro", 5266, 1800 * time.Millisecond},
	{"Kestrelmark Bank", 1240, 700 * time.Millisecond},
	{"Lumièrecourt Studios", 6715, 6 * time.Second},
	{"Mbalani Copper", 2298, 450 * time.Millisecond},
	{"Nordvale Timber", 1577, 3500 * time.Millisecond},
	{"Orquídea Textil", 834, 1300 * time.Millisecond},
	{"Palazzini Foods", 3949, 2 * time.Second},
	{"Quillhaven Press", 1102, 9 * time.Second},
	{"Rautavuori Paper", 2760, 1100 * time.Millisecond},
	{"Saffronleaf Teas", 618, 5 * time.Second},
	{"Takemori Logistics", 9431, 400 * time.Millisecond},
	{"Umbravetro Glass", 1985, 8 * time.Second},
	{"Vistulan Foundries", 3344, 1600 * time.Millisecond},
	{"Wexcombe Aero", 12760, 600 * time.Millisecond},
	{"Xiling River Semiconductors", 28450, 250 * time.Millisecond},
	{"Yarrowgate Insurance", 4587, 6 * time.Second},
	{"Zephyrine Airways", 1433, 1400 * time.Millisecond},
	{"Čapkova Pumps", 2071, 4500 * time.Millisecond},
	{"Øresvik Wind", 5912, 1 * time.Second},
	{"Étoilenne Télécom", 2389, 3 * time.Second},
	{"Ağaçlı Mining", 1716, 10 * time.Second},
}
