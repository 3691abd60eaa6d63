//! The power of the target fails in the midst of `kes migrate --force`.

use super::kill::Bench;
use crate::durability::{
    Random,
    disk::{self, Disk},
    times,
};

/// How often to cut it.
const FAILURES: usize = 10;

#[test]
fn a_power_failure_in_the_midst_of_a_forced_run_loses_nothing() {
    let test = "migrate::power::a_power_failure_in_the_midst_of_a_forced_run_loses_nothing";
    let Some(place) = disk::place(test) else {
        return;
    };
    let disk = Disk::new(&place);
    let bench = Bench::new(&place, disk.join("keys"));
    bench.reset();
    let mut random = Random::new();
    for failure in 0..FAILURES * times() {
        let switch = disk.switch();
        let mut child = bench.start(&["--force", "--concurrency", "3"]);
        bench.wait_for(usize::try_from(1 + random.below(30)).unwrap(), &mut child);
        switch.cut();
        drop(child.kill());
        child.wait().unwrap();
        disk.restart();
        bench.check(&format!("failure {failure}"));
        if random.below(3) == 0 {
            bench.finish(&["--force"]);
            bench.check_done();
            bench.reset();
        }
    }
    bench.finish(&["--force"]);
    bench.check_done();
}
