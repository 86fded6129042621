//! Thirty-two threads that share a lock and a channel; a child; a panic that a join sees.
use std::process::Command;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

fn sum(rounds: u64) -> u64 {
    (0..rounds).fold(0, |result, i| (result * 31 + i) % 1000003)
}

fn main() {
    let locked = Arc::new(Mutex::new(0));
    let (send, receive) = mpsc::channel();
    let threads: Vec<_> = (0..32)
        .map(|n| {
            let (locked, send) = (Arc::clone(&locked), send.clone());
            thread::spawn(move || {
                for _ in 0..1000 {
                    *locked.lock().unwrap() += n;
                }
                send.send(sum(n * 1000)).unwrap();
            })
        })
        .collect();
    drop(send);
    println!("{}", receive.iter().sum::<u64>());
    for thread in threads {
        thread.join().unwrap();
    }
    println!("{}", locked.lock().unwrap());
    let child = Command::new("echo").arg("a child").output().unwrap();
    print!("{}", String::from_utf8(child.stdout).unwrap());
    std::panic::set_hook(Box::new(|_| ()));
    println!("{}", thread::spawn(|| panic!()).join().is_err());
    std::process::exit(3);
}
