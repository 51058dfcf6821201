// The queue of one bucket: what the scripts of lua/ and the pods do to each other while calls are
// lost, repeated and late, pods pause and die, and Redis forgets. scripts/model searches every
// order of events; what that covers is in docs/reliability.md, "The model".
//
// A tick is a unit of Redis's time and of the pods', and may pass between any two steps, so that
// every call, answer and pod can take any time. Whole ticks lose nothing where times are compared
// by "at the earliest" and "at the latest" only (Henzinger, Manna, Pnueli: What good are digital
// clocks?, 1992). Timers count down: a state is not another one because it is later.

#ifndef TICKETS
#define TICKETS 3 // 2 or 3, each of a pod of its own, numbered in the order of arrival
#endif
#ifndef TOTAL
#define TOTAL 3   // units
#endif
#ifndef LOSSES
#define LOSSES 0  // how often Redis forgets everything
#endif
#ifndef RESERVE
#define RESERVE LOSSES
#endif
#ifndef WINDOW
#define WINDOW 2
#endif
#ifndef MARGIN
#define MARGIN 0  // of a grant to Wait; a permit's margin is left out, for nothing hangs on it
#endif
#ifndef GOOD
#define GOOD 1    // how long a permit is good, and the margin of a Wait whose answers are slow
#endif
#define LEASE (WINDOW + GOOD)

// What a mutant does wrong.
#define no_marker      1 // nothing says that a ticket has paid
#define no_rearm       2 // a claim that is sent again gets its slot again, but not a new window
#define from_receipt   3 // a deadline counts from the answer, not from the sending
#define short_hold     4 // a loss of state closes the bucket for a window, not for a permit's lease
#define blind_abandon  5 // abandon opens the slot, whatever ticket has it
#define blind_report   6 // identified takes the slot, whatever ticket has it
#define ghost_abandons 7 // a ticket that a late copy put in line gives up more than its place
#define no_order       8 // the slot is for the first who asks
#define no_lapse       9 // the dead keep their places
#define shortens      10 // a late copy of a claim, sent with a shorter margin, ends its slot sooner
#define revives       11 // a renewal counts however late its answer is
#ifndef MUTANT
#define MUTANT 0
#endif

#define FREE 0
#define N 4 // arrays begin at 1
#define max(a, b) ((a) > (b) -> (a) : (b))

mtype = { nothing, granted, kept, identified, left }

// Redis.
byte slot, ttl;         // who has it, and for how long
byte closed;            // closed_until, from now
byte remaining = TOTAL;
mtype paid[N] = nothing; // kept: renewed, of a grant that Redis has forgotten
bool line[N];           // it stands in line
byte arrived;           // the last to have come
bool lost;              // no limits: nobody has seeded them yet
byte losses;

// The pods.
bool permit[N];         // it is in Acquire, not in Wait
bool slow[N];           // it is in Wait, and had a grant too late
bool knows[N] = true;   // it knows the epoch in force
byte call[N];           // what its call closes the bucket for, from when it was sent; 0 if it is too old
bool answer[N];         // yes to that call, on its way
byte lease[N];          // its permit's, from when the call that got it was sent
mtype told[N] = nothing; // its last word, which Redis may not have heard
bool over[N];           // it neither waits nor holds

// The judge.
byte since = WINDOW;    // the last identify
byte identifies;
bool unit[N];           // paid in this epoch, and not given back
bool quiet;             // nothing fails any more
byte calm;              // ticks since then
bool asked[N];          // in this tick

#define before(t) (t > 1 && line[1] || t > 2 && line[2])
#define closes(t, s) (permit[t] || s -> LEASE : WINDOW + MARGIN)

// --- scripts: each is one step ------------------------------------------------

inline claim(t, s, yes) {
  yes = false;
  if
  :: lost || !knows[t] || paid[t] == identified || paid[t] == left // resync, gone
  :: else ->
     if
     :: paid[t] != nothing && !closed && (slot == t || slot == FREE) -> yes = true
     :: else ->
        line[t] = true;
        arrived = max(arrived, t);
        yes = slot == FREE && !closed && (!before(t) || MUTANT == no_order) &&
          (paid[t] != nothing || remaining > RESERVE)
     fi;
     if
     :: yes -> grant(t, s)
     :: else
     fi
  fi
}

inline grant(t, s) {
  if
  :: slot == t && MUTANT == no_rearm
  :: slot == t && MUTANT != no_rearm && MUTANT != shortens -> ttl = max(ttl, closes(t, s))
  :: else -> ttl = closes(t, s)
  fi;
  slot = t;
  line[t] = false;
  if
  :: paid[t] == nothing ->
     assert(!unit[t]);   // once
     assert(!before(t)); // order
     unit[t] = true;
     remaining--;
     paid[t] = (MUTANT == no_marker -> nothing : granted)
  :: else
  fi
}

inline report(t) { // identified.lua
  if
  :: slot == FREE || slot == t || MUTANT == blind_report -> slot = t; ttl = WINDOW
  :: slot != FREE && slot != t && MUTANT != blind_report && !lost -> closed = max(closed, WINDOW)
  :: else
  fi;
  paid[t] = identified
}

// As if the pod had always said that the permit is good: an older copy that says so can come
// right before, and make the slot the ticket's.
inline renew(t, yes) {
  yes = (slot == FREE || slot == t) && paid[t] != identified && paid[t] != left;
  if
  :: yes ->
     slot = t;
     ttl = LEASE;
     paid[t] = (paid[t] == nothing -> kept : paid[t])
  :: else
  fi
}

inline abandon(t) {
  line[t] = false;
  if
  :: paid[t] == granted -> remaining++; unit[t] = false
  :: else
  fi;
  if
  :: slot == t || MUTANT == blind_abandon -> slot = FREE; ttl = 0
  :: else
  fi;
  paid[t] = left
}

// --- a pod --------------------------------------------------------------------

// It may send again at any time, whatever has become of the last call.
#define send(t, lasts) answer[t] = false; call[t] = lasts
#define may_ask(t) (!quiet || !asked[t] && !answer[t])
#define heard(t) call[t] = (answer[t] -> call[t] : 0)
#define sent(t) (MUTANT == from_receipt -> closes(t, slow[t]) : call[t])
#define end(t, word) send(t, 0); lease[t] = 0; told[t] = word; over[t] = true; goto done

inline identify(t) {
  assert(since >= WINDOW);                              // window
  since = 0;
  identifies++;
  assert(identifies <= TOTAL && (unit[t] || losses > 0)) // budget
}

proctype pod(byte t) {
  atomic { t <= arrived + 1 -> if :: permit[t] = true :: permit[t] = false fi }
  do // it waits
  :: d_step { may_ask(t) -> send(t, closes(t, slow[t])); asked[t] = quiet }
  :: d_step { call[t] > 0 && !answer[t] -> claim(t, slow[t], answer[t]); heard(t) }
  :: d_step { !lost && !knows[t] -> knows[t] = true; send(t, 0) } // sync
  :: atomic { answer[t] && permit[t] -> lease[t] = sent(t); send(t, 0); break }
  :: atomic { answer[t] && !permit[t] -> identify(t); end(t, nothing) }
  :: atomic { !quiet && arrived >= t -> end(t, left) }    // cancelled, also in the instant of the grant
  :: atomic { !quiet && arrived >= t -> end(t, nothing) } // dead
  od;
  do // it holds a permit
  :: d_step { !quiet -> send(t, LEASE) }
  :: d_step { call[t] > 0 && !answer[t] -> renew(t, answer[t]); heard(t) }
  // Heard a tick before the last lease ends, at the latest: that tick stands for the margin.
  :: d_step { answer[t] && (lease[t] > 0 || MUTANT == revives) -> lease[t] = max(lease[t], sent(t)); send(t, 0) }
  :: atomic { lease[t] >= WINDOW -> identify(t); end(t, identified) }
  :: atomic { end(t, left) }
  :: atomic { !quiet -> end(t, nothing) }
  od;
done: false
}

// What was sent is executed at any later time, any number of times, or never. (While a pod waits
// or holds, its own call does what a copy would.)
proctype late(byte t) {
  bool yes;
  do
  :: d_step { !quiet && (over[t] || slow[t]) -> claim(t, false, yes); yes = false }
  :: d_step { !quiet && slow[t] -> claim(t, true, yes); yes = false }
  :: d_step { !quiet && over[t] && permit[t] -> renew(t, yes); yes = false }
  :: d_step { told[t] == identified && paid[t] != identified -> report(t) }
  :: d_step { told[t] == left && paid[t] != left -> abandon(t) }
  :: d_step { !quiet && over[t] && knows[t] && !lost -> line[t] = true } // by a claim for the pod's next
  :: d_step { line[t] && (!quiet || over[t]) && MUTANT != no_lapse -> // its pod is dead, or seems so
       if
       :: over[t] && MUTANT == ghost_abandons -> abandon(t)
       :: else -> line[t] = false
       fi }
  od
}

// --- time, and what happens to Redis --------------------------------------------

#define run_down(timer) timer = (timer > 0 -> timer - 1 : 0)
#define served(t) (t > TICKETS || over[t] || paid[t] == nothing && remaining <= RESERVE)
#define all_served (served(1) && served(2) && served(3))

inline tick() {
  run_down(ttl);
  run_down(closed);
  slot = (ttl > 0 -> slot : FREE);
  since = (since < WINDOW -> since + 1 : WINDOW);
  for (t : 1 .. TICKETS) {
    run_down(lease[t]);
    if
    :: call[t] > WINDOW -> call[t]--
    :: call[t] == WINDOW -> // its last window is not for its use
       slow[t] = slow[t] || answer[t] && !permit[t];
       send(t, 0)
    :: else
    fi;
    asked[t] = false
  }
  t = 0
}

inline forget() {
  losses++; lost = true; slot = FREE; ttl = 0; closed = 0; remaining = 0;
  for (t : 1 .. TICKETS) { paid[t] = nothing; line[t] = false; knows[t] = false; unit[t] = false }
  t = 0
}

inline seed() { // with Discord's figure, which lacks the permits that are out: the reserve is there for them
  lost = false;
  closed = (MUTANT == short_hold -> WINDOW : LEASE);
  remaining = TOTAL - identifies
}

active proctype world() {
  byte t;
  atomic { for (t : 1 .. TICKETS) { run pod(t); run late(t) } t = 0 }
  do
  :: d_step { !quiet -> tick() }
  :: d_step { !quiet && !lost && losses < LOSSES -> forget() }
  :: d_step { lost -> seed() }
  // From now on nothing fails, and time passes when nobody can do anything: who waits is served.
  :: d_step { !quiet -> quiet = true; for (t : 1 .. TICKETS) { send(t, 0) } tick() }
  :: atomic { quiet && timeout && !all_served -> tick(); calm++; assert(calm <= TICKETS * LEASE) } // waiting
  od
}
