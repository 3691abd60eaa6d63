//! The wire format of protocol buffers, as far as stored keys need it (crypto.md 2.2).
//!
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

/// The bytes are not a protocol buffer message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken;

/// A field's value. Who asks for a field treats a value of another wire type as an unknown field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    /// A number. Fields of 32 bits take the low half.
    Varint(u64),
    /// Bytes, text or an embedded message.
    Bytes(&'a [u8]),
    /// A fixed-width number or a group, checked and skipped.
    Other,
}

/// How deep groups may nest, as in the reference's protobuf library.
const MAX_DEPTH: usize = 10_000;

/// Largest number of a field.
const MAX_FIELD: u64 = (1 << 29) - 1;

/// The fields of a message in the order they stand. Ends after the first [`Broken`].
pub(super) struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn new(message: &'a [u8]) -> Self {
        Self(message)
    }

    fn field(&mut self) -> Result<(u64, Value<'a>), Broken> {
        let (number, wire) = self.tag()?;
        let value = match wire {
            0 => Value::Varint(self.varint()?),
            2 => Value::Bytes(self.bytes()?),
            3 => self.group(number)?,
            _ => self.fixed(wire)?,
        };
        Ok((number, value))
    }

    /// The rest of a group whose start tag is read, groups inside included.
    fn group(&mut self, number: u64) -> Result<Value<'a>, Broken> {
        let mut open = vec![number];
        while let Some(innermost) = open.last().copied() {
            let (number, wire) = self.tag()?;
            match wire {
                0 => drop(self.varint()?),
                2 => drop(self.bytes()?),
                3 if open.len() < MAX_DEPTH => open.push(number),
                4 if number == innermost => drop(open.pop()),
                _ => drop(self.fixed(wire)?),
            }
        }
        Ok(Value::Other)
    }

    fn tag(&mut self) -> Result<(u64, u8), Broken> {
        let tag = self.varint()?;
        let number = tag >> 3;
        if number == 0 || number > MAX_FIELD {
            return Err(Broken);
        }
        Ok((number, (tag & 7) as u8))
    }

    /// A number of at most 64 bits in at most ten bytes, seven bits each, least significant first.
    fn varint(&mut self) -> Result<u64, Broken> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first().ok_or(Broken)?;
            self.0 = rest;
            if shift == 63 && *byte > 1 {
                return Err(Broken);
            }
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Broken)
    }

    fn bytes(&mut self) -> Result<&'a [u8], Broken> {
        let len = usize::try_from(self.varint()?).map_err(|_| Broken)?;
        self.take(len)
    }

    /// A number of fixed width. Wire types that end a group not begun, or that do not exist, are errors.
    fn fixed(&mut self, wire: u8) -> Result<Value<'a>, Broken> {
        match wire {
            1 => self.take(8)?,
            5 => self.take(4)?,
            _ => return Err(Broken),
        };
        Ok(Value::Other)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Broken> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or(Broken)?;
        self.0 = rest;
        Ok(taken)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Value<'a>), Broken>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.0 = &[];
        }
        Some(field)
    }
}

/// Writes a message into a buffer that is long enough, in the order of the calls.
pub(super) struct Writer<'a> {
    out: &'a mut [u8],
    used: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, used: 0 }
    }

    /// How many bytes were written.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// A number; left out if zero.
    pub(super) fn varint(&mut self, number: u8, value: u64) {
        if value != 0 {
            self.put_varint(u64::from(number) << 3);
            self.put_varint(value);
        }
    }

    /// Bytes, text or an embedded message, also if empty.
    pub(super) fn bytes(&mut self, number: u8, value: &[u8]) {
        self.put_varint(u64::from(number) << 3 | 2);
        self.put_varint(value.len() as u64);
        self.put(value);
    }

    fn put_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.put(&[(value & 0x7f) as u8 | 0x80]);
            value >>= 7;
        }
        self.put(&[(value & 0x7f) as u8]);
    }

    #[expect(
        clippy::indexing_slicing,
        reason = "the caller reserved room for the longest message"
    )]
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<(u64, Value<'_>)>, Broken> {
        Fields::new(message).collect()
    }

    #[test]
    fn every_wire_type_is_read() {
        let message = [
            0x08, 0x96, 0x01, // 1: varint 150
            0x12, 0x02, b'h', b'i', // 2: bytes
            0x19, 1, 2, 3, 4, 5, 6, 7, 8, // 3: 64 bits
            0x25, 1, 2, 3, 4, // 4: 32 bits
            0x2b, 0x08, 0x01, 0x33, 0x12, 0x01, 0x00, 0x34, 0x2c, // 5: a group with a group
            0x08, 0x00,
        ];
        assert_eq!(
            fields(&message).unwrap(),
            [
                (1, Value::Varint(150)),
                (2, Value::Bytes(b"hi")),
                (3, Value::Other),
                (4, Value::Other),
                (5, Value::Other),
                (1, Value::Varint(0)),
            ]
        );
        for end in 0..message.len() {
            // Cut between fields it is a shorter message, cut inside one it is broken.
            let whole = [0, 3, 7, 16, 21, 30].contains(&end);
            assert_eq!(fields(&message[..end]).is_ok(), whole, "{end}");
        }
    }

    #[test]
    fn the_largest_numbers_are_read_and_larger_ones_refused() {
        let mut most = vec![0x08];
        most.extend([0xff; 9]);
        most.push(0x01);
        assert_eq!(fields(&most).unwrap(), [(1, Value::Varint(u64::MAX))]);
        most[10] = 0x02;
        assert_eq!(fields(&most), Err(Broken));
        most[10] = 0x81;
        most.push(0x00);
        assert_eq!(fields(&most), Err(Broken));
        assert_eq!(
            fields(&[0xf8, 0xff, 0xff, 0xff, 0x0f, 0x01]).unwrap(),
            [(MAX_FIELD, Value::Varint(1))]
        );
    }

    #[test]
    fn broken_tags_and_groups_are_refused() {
        for message in [
            &[0x00, 0x01][..],                           // field 0
            &[0x80, 0x80, 0x80, 0x80, 0x10, 0x01],       // field 2^29
            &[0x0e, 0x01],                               // wire type 6
            &[0x0f, 0x01],                               // wire type 7
            &[0x0c],                                     // the end of no group
            &[0x0b, 0x14],                               // the end of another group
            &[0x0b, 0x0e, 0x0c],                         // wire type 6 in a group
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00], // 4 GiB of bytes
            &[
                0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
        ] {
            assert_eq!(fields(message), Err(Broken), "{message:?}");
        }
    }

    #[test]
    fn groups_nest_to_a_limit() {
        let nested = |depth: usize| [vec![0x0b; depth], vec![0x0c; depth]].concat();
        assert_eq!(fields(&nested(MAX_DEPTH)).unwrap(), [(1, Value::Other)]);
        assert_eq!(fields(&nested(MAX_DEPTH + 1)), Err(Broken));
    }

    #[test]
    fn what_is_written_reads_as_it_was_meant() {
        let mut out = [0; 64];
        let mut writer = Writer::new(&mut out);
        writer.varint(1, 0);
        writer.varint(2, 300);
        writer.varint(3, u64::MAX);
        writer.bytes(4, b"hi");
        writer.bytes(5, b"");
        let used = writer.used();
        assert_eq!(
            fields(&out[..used]).unwrap(),
            [
                (2, Value::Varint(300)),
                (3, Value::Varint(u64::MAX)),
                (4, Value::Bytes(b"hi")),
                (5, Value::Bytes(b"")),
            ]
        );
    }
}
