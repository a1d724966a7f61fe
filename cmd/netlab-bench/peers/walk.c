// walk counts the packets, 5-tuples and payload bytes of a little-endian pcap file of
// Ethernet: the least that any decoder has to do, and so what others are held
// against. It follows the records through an mmap, reads the headers of Ethernet,
// IPv4, TCP and UDP, and looks each 5-tuple up in a table.
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

// A tuple is a conversation: the lower end comes first, so that both directions
// meet. packets is 0 in a free place.
struct tuple {
	uint64_t addrs, ports;
	uint64_t packets, payload;
};

static struct tuple *table;
static size_t places, used;
static uint64_t packets, payload;

static uint64_t mix(uint64_t addrs, uint64_t ports) {
	uint64_t h = (addrs ^ ports * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
	return h ^ h >> 32;
}

static struct tuple *place(uint64_t addrs, uint64_t ports) {
	size_t i = mix(addrs, ports) & (places - 1);
	while (table[i].packets && (table[i].addrs != addrs || table[i].ports != ports))
		i = (i + 1) & (places - 1);
	return &table[i];
}

static void allocate(size_t n) {
	places = n;
	table = calloc(n, sizeof *table);
	if (!table) {
		perror("walk: table");
		exit(1);
	}
}

// grow keeps at least half of the table free.
static void grow(void) {
	struct tuple *old = table;
	size_t n = places;
	allocate(n * 2);
	for (size_t i = 0; i < n; i++)
		if (old[i].packets)
			*place(old[i].addrs, old[i].ports) = old[i];
	free(old);
}

static uint16_t be16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }
static uint32_t be32(const uint8_t *p) { return (uint32_t)be16(p) << 16 | be16(p + 2); }

static void packet(const uint8_t *p, size_t n) {
	packets++;
	if (n < 14 + 20 || be16(p + 12) != 0x0800)
		return;
	const uint8_t *ip = p + 14;
	size_t head = (ip[0] & 15) * 4u, total = be16(ip + 2), transport;
	if (total == 0 || total > n - 14)
		total = n - 14; // of segmentation offload, or padding
	if (head < 20 || total < head + 8)
		return;
	const uint8_t *l4 = ip + head;
	switch (ip[9]) {
	case 6:
		if (total < head + 20)
			return;
		transport = (l4[12] >> 4) * 4u;
		break;
	case 17:
		transport = 8;
		break;
	default:
		return;
	}
	if (total < head + transport)
		return;
	uint64_t src = be32(ip + 12), dst = be32(ip + 16), sport = be16(l4), dport = be16(l4 + 2);
	if (src > dst || (src == dst && sport > dport)) {
		uint64_t swap = src;
		src = dst, dst = swap;
		swap = sport;
		sport = dport, dport = swap;
	}
	uint64_t addrs = src << 32 | dst, ports = sport << 32 | dport << 16 | ip[9];
	struct tuple *t = place(addrs, ports);
	if (!t->packets) {
		t->addrs = addrs, t->ports = ports;
		if (++used * 2 > places) {
			t->packets = 1;
			grow();
			t = place(addrs, ports);
			t->packets = 0;
		}
	}
	t->packets++;
	t->payload += total - head - transport;
	payload += total - head - transport;
}

int main(int argc, char **argv) {
	if (argc != 2) {
		fprintf(stderr, "usage: walk FILE\n");
		return 2;
	}
	int fd = open(argv[1], O_RDONLY);
	struct stat st;
	if (fd < 0 || fstat(fd, &st)) {
		perror(argv[1]);
		return 1;
	}
	size_t size = (size_t)st.st_size, off = 24;
	const uint8_t *m = size < off ? MAP_FAILED : mmap(0, size, PROT_READ, MAP_PRIVATE, fd, 0);
	uint32_t magic = 0, link = 0;
	if (m != MAP_FAILED) {
		memcpy(&magic, m, 4);
		memcpy(&link, m + 20, 4);
	}
	if ((magic != 0xa1b2c3d4 && magic != 0xa1b23c4d) || link != 1) {
		fprintf(stderr, "walk: %s is no pcap file of Ethernet in this machine's byte order\n", argv[1]);
		return 1;
	}
	madvise((void *)m, size, MADV_SEQUENTIAL);
	allocate(1 << 12);
	while (off + 16 <= size) {
		uint32_t n;
		memcpy(&n, m + off + 8, 4);
		off += 16;
		if (n > size - off)
			break;
		packet(m + off, n);
		off += n;
	}
	printf("%llu packets, %llu 5-tuples, %llu bytes of payload\n", (unsigned long long)packets, (unsigned long long)used, (unsigned long long)payload);
	return 0;
}
