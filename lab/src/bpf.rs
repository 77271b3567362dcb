//! Classic BPF programs that tell TCP packets apart.

use crate::address::Flow;
use crate::flags::Flags;
use std::net::{IpAddr, SocketAddr};

/// The instructions, as bytes, of a program that swallows every TCP packet with all of `flags`, or only those of `flow`,
/// and has no opinion on any other.
pub(crate) fn swallow(flow: Option<Flow>, flags: Flags) -> Vec<u8> {
    program(flow, flags)
        .iter()
        .flat_map(Instruction::bytes)
        .collect()
}

/// The program that does so: the first alternative that holds decides.
fn program(flow: Option<Flow>, flags: Flags) -> Vec<Instruction> {
    let mut alternatives = match flow.map(|flow| (flow, flow.source.ip(), flow.destination.ip())) {
        None => vec![(tcp_over_v4(), V4_SEGMENT), (tcp_over_v6(), V6_SEGMENT)],
        Some((flow, IpAddr::V4(source), IpAddr::V4(destination))) => {
            let mut tests = tcp_over_v4();
            tests.push(word(26, source.into()));
            tests.push(word(30, destination.into()));
            tests.extend(ports(flow, V4_SEGMENT));
            vec![(tests, V4_SEGMENT)]
        }
        Some((flow, source, destination)) => {
            let mut tests = tcp_over_v6();
            for (start, address) in [(22, source), (38, destination)] {
                let IpAddr::V6(address) = address else {
                    // One address of each family: no packet has that.
                    return vec![Instruction::answer(PASS)];
                };
                let octets = address.octets();
                let (words, _) = octets.as_chunks::<4>();
                for (at, bytes) in (start..).step_by(4).zip(words) {
                    tests.push(word(at, u32::from_be_bytes(*bytes)));
                }
            }
            tests.extend(ports(flow, V6_SEGMENT));
            vec![(tests, V6_SEGMENT)]
        }
    };
    for (tests, segment) in &mut alternatives {
        tests.extend(all_set(flags, *segment));
    }
    let mut program: Vec<_> = alternatives
        .iter()
        .flat_map(|(tests, _)| assemble(tests))
        .collect();
    program.push(Instruction::answer(PASS));
    program
}

/// `TC_ACT_STOLEN`: gone, and the sender is told that it was sent. After `TC_ACT_SHOT` TCP would keep the data unsent.
const SWALLOW: u32 = 4;
/// `TC_ACT_UNSPEC`: no opinion.
const PASS: u32 = u32::MAX;

/// A classic BPF instruction (`struct sock_filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Instruction {
    code: u32,
    if_true: u8,
    if_false: u8,
    operand: u32,
}

impl Instruction {
    fn new(code: u32, operand: u32) -> Self {
        Self {
            code,
            if_true: 0,
            if_false: 0,
            operand,
        }
    }

    fn answer(verdict: u32) -> Self {
        Self::new(libc::BPF_RET | libc::BPF_K, verdict)
    }

    fn bytes(&self) -> [u8; 8] {
        let [c0, c1] = (self.code as u16).to_ne_bytes();
        let [k0, k1, k2, k3] = self.operand.to_ne_bytes();
        [c0, c1, self.if_true, self.if_false, k0, k1, k2, k3]
    }
}

/// Where in a frame something is, in bytes.
#[derive(Clone, Copy)]
enum Offset {
    /// From its start.
    Fixed(u32),
    /// From its start, as if the IPv4 header, whose length the packet states, were not there.
    BehindV4Header(u32),
}

impl Offset {
    fn plus(self, bytes: u32) -> Self {
        match self {
            Self::Fixed(at) => Self::Fixed(at + bytes),
            Self::BehindV4Header(at) => Self::BehindV4Header(at + bytes),
        }
    }
}

/// Where the TCP header begins.
const V4_SEGMENT: Offset = Offset::BehindV4Header(14);
const V6_SEGMENT: Offset = Offset::Fixed(54);
/// Where in a TCP header the control bits are.
const FLAGS: u32 = 13;

/// Something that has to be equal, or, with a mask, to have none or any of its bits set.
struct Test {
    size: u32,
    at: Offset,
    expected: Expected,
}

enum Expected {
    Equal(u32),
    NoneOf(u32),
    AnyOf(u32),
}

fn test(size: u32, at: u32, expected: Expected) -> Test {
    Test {
        size,
        at: Offset::Fixed(at),
        expected,
    }
}

fn word(at: u32, value: u32) -> Test {
    test(libc::BPF_W, at, Expected::Equal(value))
}

fn tcp_over_v4() -> Vec<Test> {
    vec![
        test(libc::BPF_H, 12, Expected::Equal(libc::ETH_P_IP as u32)),
        test(libc::BPF_B, 23, Expected::Equal(libc::IPPROTO_TCP as u32)),
        // A fragment but the first has no ports.
        test(libc::BPF_H, 20, Expected::NoneOf(0x1fff)),
    ]
}

fn tcp_over_v6() -> Vec<Test> {
    vec![
        test(libc::BPF_H, 12, Expected::Equal(libc::ETH_P_IPV6 as u32)),
        test(libc::BPF_B, 20, Expected::Equal(libc::IPPROTO_TCP as u32)),
    ]
}

fn ports(flow: Flow, source: Offset) -> [Test; 2] {
    [(source, flow.source), (source.plus(2), flow.destination)].map(
        |(at, address): (_, SocketAddr)| Test {
            size: libc::BPF_H,
            at,
            expected: Expected::Equal(address.port().into()),
        },
    )
}

/// One test for each of `flags`.
fn all_set(flags: Flags, segment: Offset) -> impl Iterator<Item = Test> {
    (0..8)
        .map(|bit| 1 << bit)
        .filter(move |&bit| flags.contains(Flags(bit)))
        .map(move |bit| Test {
            size: libc::BPF_B,
            at: segment.plus(FLAGS),
            expected: Expected::AnyOf(bit.into()),
        })
}

/// Stands for the end of the tests until it is known where that is; no program of ours is that long.
const MISS: u8 = u8::MAX;

/// The instructions that swallow the packet when all tests hold, and run on behind themselves otherwise.
fn assemble(tests: &[Test]) -> Vec<Instruction> {
    let mut program = Vec::new();
    for test in tests {
        let (mode, at) = match test.at {
            Offset::Fixed(at) => (libc::BPF_ABS, at),
            Offset::BehindV4Header(at) => {
                // The length of the IPv4 header goes to the index register.
                let length = libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH;
                program.push(Instruction::new(length, 14));
                (libc::BPF_IND, at)
            }
        };
        program.push(Instruction::new(libc::BPF_LD | test.size | mode, at));
        let (jump, operand, if_true, if_false) = match test.expected {
            Expected::Equal(value) => (libc::BPF_JEQ, value, 0, MISS),
            Expected::NoneOf(mask) => (libc::BPF_JSET, mask, MISS, 0),
            Expected::AnyOf(mask) => (libc::BPF_JSET, mask, 0, MISS),
        };
        program.push(Instruction {
            if_true,
            if_false,
            ..Instruction::new(libc::BPF_JMP | jump, operand)
        });
    }
    program.push(Instruction::answer(SWALLOW));
    let end = program.len();
    for (at, instruction) in program.iter_mut().enumerate() {
        let miss = (end - at - 1) as u8;
        for target in [&mut instruction.if_true, &mut instruction.if_false] {
            if *target == MISS {
                *target = miss;
            }
        }
    }
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs a program as the kernel does: a load from beyond the end passes the packet (`bpf_prog_run` returns 0,
    /// which cls_bpf takes for `TC_ACT_OK`).
    fn swallows(flow: Option<Flow>, frame: &[u8]) -> bool {
        swallows_with(flow, Flags::default(), frame)
    }

    fn swallows_with(flow: Option<Flow>, flags: Flags, frame: &[u8]) -> bool {
        let program = program(flow, flags);
        let (mut a, mut x, mut pc) = (0, 0, 0);
        loop {
            let Instruction {
                code,
                if_true,
                if_false,
                operand,
            } = program[pc];
            pc += 1;
            let load = |at: u32, size: u32| -> Option<u32> {
                let at = at as usize;
                match size {
                    libc::BPF_B => frame.get(at).map(|&byte| byte.into()),
                    libc::BPF_H => {
                        Some(u16::from_be_bytes(frame.get(at..at + 2)?.try_into().ok()?).into())
                    }
                    _ => Some(u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?)),
                }
            };
            let mut jump = |holds: bool| {
                pc += usize::from(if holds { if_true } else { if_false });
                Some(())
            };
            let loaded = match (code & 0x07, code & 0xe0) {
                (libc::BPF_RET, _) => return operand == SWALLOW,
                (libc::BPF_LD, libc::BPF_ABS) => load(operand, code & 0x18).map(|value| a = value),
                (libc::BPF_LD, libc::BPF_IND) => {
                    load(x + operand, code & 0x18).map(|value| a = value)
                }
                (libc::BPF_LDX, libc::BPF_MSH) => {
                    load(operand, libc::BPF_B).map(|value| x = (value & 15) * 4)
                }
                (libc::BPF_JMP, _) if code & 0xf0 == libc::BPF_JEQ => jump(a == operand),
                (libc::BPF_JMP, _) if code & 0xf0 == libc::BPF_JSET => jump(a & operand != 0),
                _ => unreachable!("{code:#x}"),
            };
            if loaded.is_none() {
                return false;
            }
        }
    }

    fn flow(source: &str, destination: &str) -> Flow {
        Flow::new(source.parse().unwrap(), destination.parse().unwrap())
    }

    /// A frame with a TCP header that has nothing but ports; `options` are bytes of IPv4 options.
    fn frame(flow: Flow, options: usize) -> Vec<u8> {
        let mut frame = vec![0; 12];
        match (flow.source.ip(), flow.destination.ip()) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                frame.extend([
                    0x08,
                    0x00,
                    0x45 + (options / 4) as u8,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0x40,
                    0,
                    64,
                    6,
                    0,
                    0,
                ]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
                frame.extend(vec![1; options]);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64]);
                frame.extend(source.octets());
                frame.extend(destination.octets());
            }
            _ => unreachable!(),
        }
        frame.extend(flow.source.port().to_be_bytes());
        frame.extend(flow.destination.port().to_be_bytes());
        frame.extend([0; 16]);
        frame
    }

    #[test]
    fn exactly_one_direction_of_one_connection_is_swallowed() {
        let chosen = [
            flow("10.77.0.1:4000", "10.77.0.2:80"),
            flow("[fd77::1]:4000", "[fd77::2]:80"),
        ];
        let others = [
            flow("10.77.0.1:4001", "10.77.0.2:80"),
            flow("10.77.0.1:4000", "10.77.0.2:81"),
            flow("10.77.0.3:4000", "10.77.0.2:80"),
            flow("10.77.0.1:4000", "10.77.0.3:80"),
            flow("[fd77::1]:4000", "[fd77::3]:80"),
            flow("[fd77::3]:4000", "[fd77::2]:80"),
            flow("[fd77::1]:4000", "[fd77::2]:81"),
            flow("[fd78::1]:4000", "[fd77::2]:80"),
        ];
        for wanted in chosen {
            let matching = Some(wanted);
            assert!(swallows(matching, &frame(wanted, 0)), "{wanted}");
            for other in chosen.iter().filter(|&&flow| flow != wanted).chain(&others) {
                assert!(
                    !swallows(matching, &frame(*other, 0)),
                    "{wanted} and {other}"
                );
            }
            assert!(
                !swallows(matching, &frame(wanted.reversed(), 0)),
                "the other direction"
            );
        }
    }

    #[test]
    fn ipv4_options_and_fragments_are_minded() {
        let wanted = flow("10.77.0.1:4000", "10.77.0.2:80");
        for matching in [None, Some(wanted)] {
            assert!(swallows(matching, &frame(wanted, 12)));
            let mut fragment = frame(wanted, 0);
            fragment[21] = 1;
            assert!(!swallows(matching, &fragment));
        }
    }

    #[test]
    fn all_of_the_flags_have_to_be_set() {
        let reset = Flags::RST.and(Flags::ACK);
        for (wanted, options) in [
            (flow("10.77.0.1:4000", "10.77.0.2:80"), 0),
            (flow("10.77.0.1:4000", "10.77.0.2:80"), 12),
            (flow("[fd77::1]:4000", "[fd77::2]:80"), 0),
        ] {
            let mut frame = frame(wanted, options);
            let at = frame.len() - 20 + FLAGS as usize;
            for matching in [None, Some(wanted)] {
                for flags in 0..=u8::MAX {
                    frame[at] = flags;
                    for mask in [Flags::default(), Flags::RST, reset] {
                        let expected = Flags(flags).contains(mask);
                        assert_eq!(
                            swallows_with(matching, mask, &frame),
                            expected,
                            "{mask} {flags:#x}"
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn all_tcp_is_all_tcp_and_nothing_else() {
        for flow in [
            flow("1.2.3.4:1", "5.6.7.8:2"),
            flow("[fd77::1]:1", "[fd77::2]:2"),
        ] {
            assert!(swallows(None, &frame(flow, 0)));
        }
        let mut udp = frame(flow("1.2.3.4:1", "5.6.7.8:2"), 0);
        udp[23] = 17;
        assert!(!swallows(None, &udp));
        assert!(!swallows(None, &[0; 14]));
    }
}
