package cli

import (
	"image/color"
	"strings"

	"github.com/boombuler/barcode/qr"
)

// quietZone is the light margin around a QR code, in modules (ISO/IEC 18004).
const quietZone = 4

// qrCode draws text as a QR code of half blocks, two modules to a character.
// Blocks are the light modules: text on a terminal is light on dark, and colours
// make sure of it.
func qrCode(text string, colours bool) (string, error) {
	code, err := qr.Encode(text, qr.L, qr.Auto)
	if err != nil {
		return "", err
	}
	size := code.Bounds().Dx()
	light := func(x, y int) bool {
		inside := x >= 0 && y >= 0 && x < size && y < size
		return !inside || color.Gray16Model.Convert(code.At(x, y)).(color.Gray16).Y > 0x7fff
	}
	before, after := "", "\n"
	if colours {
		before, after = "\x1b[97;40m", reset+"\n"
	}
	blocks := map[[2]bool]string{{true, true}: "█", {true, false}: "▀", {false, true}: "▄", {false, false}: " "}
	var b strings.Builder
	for y := -quietZone; y < size+quietZone; y += 2 {
		b.WriteString(before)
		for x := -quietZone; x < size+quietZone; x++ {
			b.WriteString(blocks[[2]bool{light(x, y), light(x, y+1)}])
		}
		b.WriteString(after)
	}
	return b.String(), nil
}
