package noise

import "math"

// wilson returns the bounds of a share, of which k of n were seen, in which it lies with
// 95 % (E. B. Wilson, "Probable Inference", 1927): of one in one, it is a fifth at
// least. Of nothing in nothing it is anything.
func wilson(k, n int) (low, high float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.96
	size, share := float64(n), min(1, float64(k)/float64(n))
	middle := share + z*z/(2*size)
	spread := z * math.Sqrt(share*(1-share)/size+z*z/(4*size*size))
	whole := 1 + z*z/size
	return max(0, (middle-spread)/whole), min(1, (middle+spread)/whole)
}
