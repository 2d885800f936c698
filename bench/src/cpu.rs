//! How much CPU time processes have used, from /proc (proc_pid_stat(5)).

use std::fs;
use std::path::Path;

use rustix::process::Pid;

/// Processes whose time counts together.
#[derive(Debug, Clone, Copy)]
pub enum Group {
    /// One process with all its threads.
    Process(Pid),
    /// A process, its children, and its children that have ended.
    Family(Pid),
}

impl Group {
    /// Seconds of CPU, user and system, used until now.
    pub fn seconds(self) -> f64 {
        let ticks = match self {
            Self::Process(pid) => stat(pid.as_raw_nonzero().get()).map_or(0, |stat| stat.own),
            Self::Family(pid) => family(pid.as_raw_nonzero().get()),
        };
        ticks as f64 / rustix::param::clock_ticks_per_second() as f64
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    own: u64,
    ended_children: u64,
}

fn family(parent: i32) -> u64 {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let children: u64 = pids.filter_map(stat).filter(|stat| stat.parent == parent).map(|stat| stat.own).sum();
    children + stat(parent).map_or(0, |stat| stat.own + stat.ended_children)
}

fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).ok()?)
}

/// The name, field 2, may hold spaces and brackets: the fields are counted from its last bracket.
fn parse(line: &str) -> Option<Stat> {
    let (_, rest) = line.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Stat {
        parent: fields.get(1)?.parse().ok()?,
        own: number(14)? + number(15)?,
        ended_children: number(16)? + number(17)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_brackets_do_not_shift_the_fields() {
        let line = "4242 (a) b (c)) S 17 4242 4242 0 -1 4194560 1 2 3 4 500 60 7 8 20 0 9 0 100 1 1";
        assert_eq!(parse(line), Some(Stat { parent: 17, own: 560, ended_children: 15 }));
        assert_eq!(parse("nonsense"), None);
    }

    #[test]
    fn work_is_counted() {
        let group = Group::Process(rustix::process::getpid());
        let before = group.seconds();
        let mut x = 1u64;
        while group.seconds() - before < 0.03 {
            for _ in 0..100_000 {
                x = std::hint::black_box(x.wrapping_mul(6_364_136_223_846_793_005));
            }
        }
        assert!(Group::Family(rustix::process::getpid()).seconds() >= before + 0.03);
    }
}
